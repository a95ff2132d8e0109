import { existsSync } from 'node:fs';
import { type ListedBackup, listBackups, proofState } from '../../core/catalog/list.ts';
import { bind } from '../../core/datamap/bind.ts';
import { readMap } from '../../core/datamap/load.ts';
import { tenantExists, tenantRemembered, unknownTenant } from '../../core/datamap/tenants.ts';
import { ConfigError, HoldfastError } from '../../core/errors.ts';
import { explain } from '../../core/explain.ts';
import { formatMoment, type Moment, parseMoment } from '../../core/moment.ts';
import type { Proof } from '../../core/restore/restoreTest.ts';
import { holdsInStore } from '../../core/snapshot/legalHold.ts';
import { readProofs, type StoredProof } from '../../core/snapshot/proofs.ts';
import type { Manifest } from '../../core/snapshot/types.ts';
import type { Client } from '../../core/sql.ts';
import { positiveInteger } from '../arguments.ts';
import { handle, type Register } from '../command.ts';
import { readsFrom } from '../locations.ts';
import { bytes, printable, red, table, yellow } from '../output.ts';
import { type GlobalOptions, problem, type Report } from '../report.ts';
import { contextOf, namedDatabase, withDatabase } from '../runtime.ts';
import { listStore } from '../storeListing.ts';

interface Options extends GlobalOptions {
  readonly tenant?: string;
  readonly all: boolean;
  readonly limit: string;
  readonly fromStore: boolean;
}

const iso = (moment: Moment | null) => (moment === null ? null : formatMoment(moment));
const short = (moment: Moment | null) => iso(moment)?.replace(/\.\d+Z$/, 'Z') ?? null;

export const listCommand: Register = (program) => {
  const command = program
    .command('list')
    .summary('backups, how far each restores, when it was proven')
    .description(
      'Lists backups, how far each restores to, and when it was last proven. Reads the store when no database answers.',
    )
    .option('-t, --tenant <id>', 'those that can restore this tenant')
    .option('--all', 'running, failed and expired ones too', false)
    .option('--limit <n>', 'how many, newest first', '100')
    .option('--from-store', 'ask the store even if the database answers', false);
  handle<Options>(readsFrom(command), async (options) => {
    const limit = positiveInteger(options.limit, '--limit');
    const chosen = { limit, ...(options.tenant === undefined ? {} : { tenant: options.tenant }) };
    if (options.fromStore || options.location !== undefined) return fromStore(options, chosen);
    if (namedDatabase(options) === undefined) return fromStore(options, chosen, 'no database was named');
    try {
      const request = { ...chosen, all: options.all };
      const listed = await withDatabase(options, async (client) => {
        const backups = await listBackups(client, request);
        await requireTenant(client, options, backups);
        return backups;
      });
      return report(listed, { source: 'catalog' });
    } catch (error) {
      const reason = explain(error);
      if (!reason || !WITHOUT_CATALOG.has(reason.code)) throw error;
      return fromStore(options, chosen, `${reason.message.replace(/\.$/, '')} (${reason.code})`);
    }
  });
};

/** A mistyped tenant would be listed with the backups of the whole database, as if they held it. */
async function requireTenant(client: Client, options: Options, backups: readonly ListedBackup[]): Promise<void> {
  const { tenant, config } = options;
  if (tenant === undefined || backups.some((b) => b.tenant === tenant) || !existsSync(config)) return;
  const bound = await bind(client, await readMap(config));
  if ((await tenantExists(client, bound, tenant)) || (await tenantRemembered(client, tenant))) return;
  throw await unknownTenant(client, bound, tenant, ConfigError);
}

const WITHOUT_CATALOG = new Set([
  'HF_DATABASE_UNREACHABLE',
  'HF_DATABASE_AUTH',
  'HF_DATABASE_LOST',
  'HF_NOT_INSTALLED',
  'HF_RIGHTS_MISSING',
]);

async function fromStore(
  options: Options,
  chosen: { limit: number; tenant?: string },
  reason?: string,
): Promise<Report> {
  const context = await contextOf(options, 'store').catch((error: unknown) => {
    // Without a data map there is no store to fall back on: the database is then what to mend.
    if (reason !== undefined && error instanceof HoldfastError) {
      throw new HoldfastError(error.code, `${error.message} The catalog cannot be read either: ${reason}.`, {
        cause: error,
        action: error.action,
        details: error.details,
      });
    }
    throw error;
  });
  const { manifests, damaged } = await listStore(context, chosen);
  const holds = await holdsInStore(context.store);
  const tests = new Map<string, { last: StoredProof; passed: string | null }>();
  for await (const test of readProofs(context)) {
    const passed = test.result.ok ? test.at : (tests.get(test.backup)?.passed ?? null);
    tests.set(test.backup, { last: test, passed });
  }
  const note =
    reason === undefined
      ? `from ${context.store.description}`
      : `${reason}: this is what ${context.store.description} holds`;
  const listed = manifests.map((manifest) => asListed(manifest, holds.has(manifest.id), tests.get(manifest.id)));
  return report(listed, { source: 'store', note, damaged });
}

function asListed(
  manifest: Manifest,
  legalHold: boolean,
  tests: { last: StoredProof; passed: string | null } | undefined,
): ListedBackup {
  const passed = tests?.passed ?? null;
  return {
    id: manifest.id,
    tenant: manifest.tenant,
    type: manifest.type,
    status: 'complete',
    parent: manifest.parent,
    startedAt: parseMoment(manifest.startedAt),
    finishedAt: parseMoment(manifest.finishedAt),
    horizon: parseMoment(manifest.horizon),
    verifiedAt: null,
    provenAt: passed === null ? null : parseMoment(passed),
    proof: proofState((tests?.last.result ?? null) as Proof | null, passed !== null),
    legalHold,
    ...manifest.totals,
    error: null,
  };
}

function proven({ proof, provenAt }: ListedBackup): string {
  if (proof.state === 'proven') return short(provenAt) ?? 'yes';
  return proof.state === 'not run' ? 'not proven' : proof.state;
}

/** A backup that may not restore must not look like one that nobody has tried. */
function unproven({ id, proof }: ListedBackup): string[] {
  if (proof.state === 'failed') {
    return [
      `${red(id)} did not pass its restore test: ${printable(proof.reason)}`,
      '    what to do: see holdfast validate --deep, take a new full backup, and do not rely on this one',
    ];
  }
  if (proof.state !== 'not run') return [];
  return [
    `${yellow(id)} is not proven: ${printable(proof.reason)}`,
    '    what to do: remove that hindrance and take the next backup, which is proven then',
  ];
}

function report(
  backups: readonly ListedBackup[],
  about: { source: 'catalog' | 'store'; note?: string; damaged?: readonly HoldfastError[] },
): Report {
  const { source, note, damaged = [] } = about;
  const head = ['backup', 'tenant', 'type', 'status', 'rows', 'changes', 'stored', 'restores to', 'proven'];
  const rows = backups.map((b) => [
    b.id,
    b.tenant ?? '(all)',
    b.type,
    b.status,
    b.rows,
    b.changes,
    b.bytes === null ? null : bytes(b.bytes),
    short(b.horizon),
    proven(b),
  ]);
  const json = backups.map((b) => ({
    id: b.id,
    tenant: b.tenant,
    type: b.type,
    status: b.status,
    parent: b.parent,
    startedAt: iso(b.startedAt),
    finishedAt: iso(b.finishedAt),
    horizon: iso(b.horizon),
    verifiedAt: iso(b.verifiedAt),
    provenAt: iso(b.provenAt),
    proof: b.proof,
    legalHold: b.legalHold,
    bytes: b.bytes,
    rows: b.rows,
    changes: b.changes,
    error: b.error,
  }));
  const lines = [
    ...(note ? [yellow(`note: ${note}`)] : []),
    rows.length ? table(head, rows) : 'No backup yet. Make one with holdfast backup.',
    ...backups.flatMap(unproven),
    ...damaged.map((error) => problem(error.code, error.message)),
  ];
  return {
    json: { source, ...(note ? { note } : {}), backups: json, damaged },
    text: lines.join('\n'),
    exitCode: damaged.length > 0 ? 1 : 0,
  };
}
