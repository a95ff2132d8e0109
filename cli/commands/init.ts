import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { KeyFile } from '../../adapters/local/keyFile.ts';
import { formatNewFile } from '../../core/datamap/format.ts';
import { introspect } from '../../core/datamap/introspect.ts';
import { propose } from '../../core/datamap/propose.ts';
import { rewriteMap } from '../../core/datamap/rewrite.ts';
import { parseSettings, type Settings } from '../../core/datamap/settings.ts';
import { ConfigError } from '../../core/errors.ts';
import { MARKER } from '../../core/snapshot/store.ts';
import { handle, type Register } from '../command.ts';
import { bold, count, yellow } from '../output.ts';
import { located, openObjectStore, withDatabase } from '../runtime.ts';

interface Options {
  tenantTable?: string;
  tenantKey?: string;
  personTable?: string;
  personKey?: string;
  force: boolean;
}

export const initCommand: Register = (program) => {
  const command = program
    .command('init')
    .summary('read the catalog, write holdfast.yaml and a key file')
    .description('Reads the catalog and writes holdfast.yaml for you to review, and a key file if there is none.')
    .option('--tenant-table <table>', 'the table with one row per tenant, if it is not found by itself')
    .option('--tenant-key <column>', 'its key')
    .option('--person-table <table>', 'the table with one row per person')
    .option('--person-key <column>', 'its key')
    .option('--force', 'overwrite an existing holdfast.yaml', false);
  handle<Options>(command, async (options) => {
    if (existsSync(options.config) && !options.force) {
      throw new ConfigError('HF_MAP_EXISTS', `${options.config} is there already, perhaps edited by hand.`, {
        action: 'Edit it, or write it anew with --force, or elsewhere with --config.',
        details: { path: options.config },
      });
    }
    const old = existsSync(options.config) ? await readFile(options.config, 'utf8') : undefined;
    const catalog = await withDatabase(options, introspect);
    const { map, notes } = propose(catalog, options);
    const text = old === undefined ? formatNewFile(map) : rewriteMap(old, map);
    const settings = located(parseSettings(text), options.config);
    await refuseSecondKey(settings);
    const copy = `${options.config}.bak`;
    if (old !== undefined) await writeFile(copy, old);
    await writeFile(options.config, text);
    const { keys, kms } = settings;
    const newKey = kms === undefined && !existsSync(keys);
    if (newKey) await KeyFile.create(keys);
    const shared = map.tables.filter((t) => !t.tenant).length;
    const lines = [
      `${bold(options.config)}: ${count(map.tables.length, 'table')}, ${shared} of them shared by all tenants; tenants are rows of ${map.tenants.table}.`,
      ...(old === undefined ? [] : [`What it said before is in ${copy}.`]),
      ...notes.map((note) => yellow(`note: ${note}`)),
      ...(newKey
        ? [
            `${bold(keys)}: a new root key. ${yellow('Keep a copy of it off this machine, and of the person keys that the first backup makes (person_keys): without them no backup can be read.')}`,
          ]
        : []),
      `Next: review ${options.config}, then run holdfast install.`,
    ];
    return {
      json: { config: options.config, tables: map.tables.length, notes, keyFile: keys, newKey },
      text: lines.join('\n'),
    };
  });
};

/** A store without its key: a new key could not read what is there, and backups of two keys would lie side by side. */
async function refuseSecondKey({ keys, kms, store }: Settings): Promise<void> {
  if (kms || existsSync(keys)) return;
  const objects = await openObjectStore(store);
  if (!(await objects.head(MARKER))) return;
  throw new ConfigError(
    'HF_KEY_FILE_MISSING',
    `${keys} is not there, but ${objects.description} holds backups made with a key.`,
    {
      action: 'Put that key file back; or name another place under store: and keys: in holdfast.yaml to start afresh.',
      details: { keys, store },
    },
  );
}
