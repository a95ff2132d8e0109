/** Small real backups out of made-up rows: no database, but every kind of slab that a database can lead to. */
import { join } from 'node:path';
import { DirectoryStore } from '../../../adapters/local/directoryStore.ts';
import { KeyFile } from '../../../adapters/local/keyFile.ts';
import { openPersonKeys, type PersonKeyDirectory } from '../../../adapters/local/personKeyDirectory.ts';
import { ObjectWriter } from '../../../core/snapshot/container.ts';
import { Keyring } from '../../../core/snapshot/keyring.ts';
import { writeManifest } from '../../../core/snapshot/manifest.ts';
import { sealSlab } from '../../../core/snapshot/slab.ts';
import { objectName, openStore } from '../../../core/snapshot/store.ts';
import {
  FORMAT,
  FORMAT_VERSION,
  type Manifest,
  type ManifestObject,
  type Section,
  SHARED,
} from '../../../core/snapshot/types.ts';
import type { Random } from '../suite.ts';

export interface World {
  readonly directory: string;
  readonly keys: KeyFile;
  readonly otherKeys: KeyFile;
  readonly persons: PersonKeyDirectory;
  readonly store: DirectoryStore;
  /** Another store under the same keys, with backups of the same names, shapes and tenants. */
  readonly twin: DirectoryStore;
  readonly full: Manifest;
  readonly incremental: Manifest;
  readonly tenantFull: Manifest;
  readonly laterFull: Manifest;
  /** Rows as they were made, by `object ordinal table`: what a reader must give back. */
  readonly rows: ReadonlyMap<string, string>;
  readonly tenants: readonly string[];
}

export async function makeWorld(directory: string, random: Random): Promise<World> {
  const keys = await KeyFile.create(join(directory, 'key.json'));
  const otherKeys = await KeyFile.create(join(directory, 'other-key.json'));
  const store = DirectoryStore.open(join(directory, 'store'));
  const twin = DirectoryStore.open(join(directory, 'twin'));
  const persons = openPersonKeys(join(directory, 'persons'), store, keys);
  const tenants = ['acme', random.pick(['Ümläut & Søn', '../up', 'A'.repeat(300), 'ACME']), SHARED];
  const rows = new Map<string, string>();
  const write = async (to: DirectoryStore, spec: Spec, kept: Map<string, string>) =>
    writeBackup({ store: to, keys, persons, random, rows: kept }, spec);
  const base = { id: '20260301T020000Z-full-aaaaaa', tenant: null, type: 'full', parent: null, tenants } as const;
  const next = { ...base, id: '20260302T020000Z-incremental-bbbbbb', type: 'incremental', parent: base.id } as const;
  const full = await write(store, base, rows);
  const incremental = await write(store, next, rows);
  const tenantFull = await write(
    store,
    { ...base, id: '20260303T020000Z-full-cccccc', tenant: 'acme', tenants: ['acme'] },
    rows,
  );
  const laterFull = await write(store, { ...base, id: '20260304T020000Z-full-dddddd', parent: next.id }, rows);
  for (const spec of [base, next]) await write(twin, spec, new Map());
  await persons.erase('acme', 'person 0');
  return {
    directory,
    keys,
    otherKeys,
    persons,
    store,
    twin,
    full,
    incremental,
    tenantFull,
    laterFull,
    rows,
    tenants,
  };
}

interface Spec {
  readonly id: string;
  readonly tenant: string | null;
  readonly type: Manifest['type'];
  readonly parent: string | null;
  readonly tenants: readonly string[];
}

interface Writing {
  readonly store: DirectoryStore;
  readonly keys: KeyFile;
  readonly persons: PersonKeyDirectory;
  readonly random: Random;
  readonly rows: Map<string, string>;
}

async function writeBackup(writing: Writing, spec: Spec): Promise<Manifest> {
  const { store, keys } = writing;
  const marker = await openStore({ store, keys }, { create: true });
  const keyring = new Keyring(store, keys, marker.id);
  const backupKeys = new Map<string, Buffer>();
  const entries: Record<string, Manifest['keys'][string]> = {};
  for (const tenant of spec.tenants) {
    const { key, entry } = await keyring.newBackupKey(spec.id, tenant);
    backupKeys.set(tenant, key);
    entries[tenant] = entry;
  }
  const objects: ManifestObject[] = [];
  const kinds = spec.type === 'full' ? (['chunk', 'chunk', 'log', 'schema'] as const) : (['log', 'schema'] as const);
  for (const [i, kind] of kinds.entries()) {
    const name = objectName(spec.id, kind, kind === 'schema' ? undefined : i + 1);
    objects.push(await writeObject(writing, spec, name, kind, backupKeys));
  }
  const [from, to] = spec.type === 'full' ? ['100:100:', '200:205:201,203'] : ['200:205:201,203', '300:300:'];
  const moment = (hour: number) => `${spec.id.slice(0, 4)}-03-0${spec.id[7]}T0${hour}:00:00.000000Z`;
  return writeManifest(
    { store, keys },
    {
      format: FORMAT,
      version: FORMAT_VERSION,
      id: spec.id,
      store: marker.id,
      epoch: '00000000-0000-4000-8000-000000000001',
      server: { version: 180000, database: 'made_up' },
      tenant: spec.tenant,
      type: spec.type,
      parent: spec.parent,
      startedAt: moment(2),
      finishedAt: moment(3),
      horizon: moment(3),
      log: { from: from!, to: to!, fromMoment: moment(2), toMoment: moment(3) },
      tables: [{ name: 'public.entries', id: 1, version: 1, rows: 0 }],
      excluded: [],
      keys: entries,
      objects,
      totals: { rows: 0, changes: 0, rawBytes: 0, bytes: objects.reduce((sum, { size }) => sum + size, 0) },
    },
  );
}

async function writeObject(
  { store, persons, random, rows }: Writing,
  spec: Spec,
  name: string,
  kind: ManifestObject['kind'],
  backupKeys: ReadonlyMap<string, Buffer>,
): Promise<ManifestObject> {
  const writer = new ObjectWriter(store, { name, kind, snapshot: '200:205:201,203' });
  const slabs = kind === 'schema' ? spec.tenants.slice(-1) : [...spec.tenants, ...spec.tenants];
  for (const [ordinal, tenant] of slabs.entries()) {
    const place = { backup: spec.id, tenant, object: name, ordinal, snapshot: '200:205:201,203' };
    // The last chunk's first slab has several frames.
    const big = name.includes('chunk-00002') && ordinal === 0;
    const made = makeSections(random, big);
    const ids = made.parts.map((_, i) => `person ${i}`);
    const known = tenant === SHARED ? new Map() : await persons.obtain(tenant, ids);
    const sealing = made.parts.map((parts, i) => ({ ...known.get(ids[i]!)!, parts }));
    const input = { ...place, sections: made.sections, persons: tenant === SHARED ? [] : sealing };
    const slab = tenant === SHARED ? { ...input, sections: made.unsealed } : input;
    const bytes = await sealSlab(slab, backupKeys.get(tenant)!);
    const counts = Object.fromEntries(made.sections.map((section) => [section.table, section.rows]));
    await writer.add({ tenant, rows: counts }, bytes);
    for (const [table, text] of made.whole) rows.set(`${name} ${ordinal} ${table}`, text);
  }
  return writer.finish();
}

const WORDS = ['', '\\N', 'a\\tb', 'Grüße', '\\\\', '0', 'the quick brown fox', '日記', 'x'.repeat(300), '{"k": null}'];

/** Two tables, one with personal columns; rows grouped by person, some without one. */
function makeSections(random: Random, big: boolean) {
  const count = 1 + random.int(5);
  const parts: Uint8Array[][] = Array.from({ length: count }, () => [Buffer.alloc(0), Buffer.alloc(0)]);
  const runs: [number, number][] = [];
  let open = '';
  let whole = '';
  for (const person of [-1, ...parts.keys()]) {
    const rows = random.int(big ? 40 : 8) + (person < 0 ? 0 : 1);
    runs.push([person, rows]);
    let sealed = '';
    for (let row = 0; row < rows; row++) {
      const left = `${random.int(1e9)}\t${random.pick(WORDS)}`;
      const right = `${random.pick(WORDS)}\t${random.pick(WORDS)}`;
      whole += `${left}\t${right}\n`;
      open += person < 0 ? `${left}\t${right}\n` : `${left}\n`;
      if (person >= 0) sealed += `${right}\n`;
    }
    if (person >= 0) parts[person]![0] = Buffer.from(sealed);
  }
  let plain = '';
  // Digits at random compress to about half: a few hundred kilobytes and more than one frame, cheaply.
  const lines = big ? 100_000 : random.int(20);
  for (let line = 0; line < lines; line++) plain += `${random.int(1e9)}\t${random.int(1e9)}\n`;
  const rows = runs.reduce((sum, [, n]) => sum + n, 0);
  const table = { table: 'public.tags', columns: ['a', 'b'], sealed: [], rows: lines, open: Buffer.from(plain) };
  const tags: Section = { ...table, runs: [[-1, lines]] };
  const about = { table: 'public.entries', rows };
  const sections: Section[] = [
    { ...about, columns: ['id', 'title'], sealed: ['body', 'mood'], runs, open: Buffer.from(open) },
    tags,
  ];
  const columns = ['id', 'title', 'body', 'mood'];
  const unsealed: Section[] = [{ ...about, columns, sealed: [], runs: [[-1, rows]], open: Buffer.from(whole) }, tags];
  return { sections, unsealed, parts, whole: [['public.entries', whole] as const, ['public.tags', plain] as const] };
}
