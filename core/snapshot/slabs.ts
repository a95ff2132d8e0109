/** From split rows to a stored object: slabs per tenant, persons' keys, sealing ahead, writing in order. */
import type { ObjectStore, PersonKey, PersonKeyStore } from '../ports.ts';
import type { RowArena } from './arena.ts';
import { reservedTenant } from './checks.ts';
import { ObjectWriter } from './container.ts';
import type { Part } from './parts.ts';
import type { SlabToSeal } from './sealMessage.ts';
import type { SealThread } from './sealThread.ts';
import type { TenantRows } from './split.ts';
import { type ManifestObject, SHARED, type SlabInput } from './types.ts';

/** Slabs that are being compressed and sealed at once, for two cores. */
const AHEAD = 3;
/** Tenants whose keys are fetched at once: it is waiting for files, or for a key service. */
const FETCHING = 32;

export interface ObjectAbout {
  readonly backup: string;
  readonly name: string;
  readonly kind: ManifestObject['kind'];
}

export interface SealingContext {
  readonly store: ObjectStore;
  readonly persons: PersonKeyStore;
  /** The key of a tenant in this backup, made on first use. */
  readonly backupKey: (tenant: string) => Promise<Buffer>;
  readonly thread: SealThread;
}

/** Writes a part as one object with a slab per tenant. The arena may be reused when it resolves. */
export async function writePart(ctx: SealingContext, about: ObjectAbout, part: Part): Promise<ManifestObject> {
  const { backup, name, kind } = about;
  const slabs = await several([...groupByTenant(part)], ([tenant, tables], ordinal) =>
    slabOf(ctx, { backup, tenant, object: name, ordinal, snapshot: part.snapshot }, tables, part.arena),
  );
  const sealing = ctx.thread.begin(slabs, part.arena);
  const writer = new ObjectWriter(ctx.store, { name, kind, snapshot: part.snapshot });
  try {
    const running: Promise<Buffer>[] = [];
    for (const [index, { input, rows }] of slabs.entries()) {
      while (running.length < AHEAD && index + running.length < slabs.length) {
        const next = sealing.seal(index + running.length);
        next.catch(() => {}); // thrown where its turn comes
        running.push(next);
      }
      await writer.add({ tenant: input.tenant, rows }, await running.shift()!);
    }
    return await writer.finish();
  } catch (error) {
    await writer.abort(error);
    throw error;
  } finally {
    await sealing.done();
  }
}

/** Does `work` for all items, some at a time; results in the items' order. */
async function several<T, R>(items: readonly T[], work: (item: T, index: number) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  const left = items.entries();
  const one = async () => {
    for (const [index, item] of left) results[index] = await work(item, index);
  };
  await Promise.all(Array.from({ length: Math.min(FETCHING, items.length) }, one));
  return results;
}

type Place = Pick<SlabInput, 'backup' | 'tenant' | 'object' | 'ordinal' | 'snapshot'>;
interface TableRows {
  readonly table: string;
  readonly columns: readonly string[];
  readonly sealed: readonly string[];
  readonly rows: TenantRows;
}

function groupByTenant(part: Part): Map<string, TableRows[]> {
  const byTenant = new Map<string, TableRows[]>();
  for (const { source, tenants } of part.tables) {
    for (const rows of tenants) {
      if ((rows.tenant ?? source.tenant) === SHARED) throw reservedTenant();
      const tenant = rows.tenant ?? source.tenant ?? SHARED;
      const tables = byTenant.get(tenant);
      const { table, columns, sealed } = source;
      if (tables) tables.push({ table, columns, sealed, rows });
      else byTenant.set(tenant, [{ table, columns, sealed, rows }]);
    }
  }
  return byTenant;
}

interface Slab extends SlabToSeal {
  /** Rows per table. */
  readonly rows: Record<string, number>;
}

async function slabOf(ctx: SealingContext, place: Place, tables: readonly TableRows[], arena: RowArena): Promise<Slab> {
  const ids = new Set<string>();
  for (const { rows } of tables) for (const person of rows.persons) ids.add(person);
  const [key, known] = await Promise.all([ctx.backupKey(place.tenant), ctx.persons.obtain(place.tenant, [...ids])]);
  const rows: Record<string, number> = {};
  for (const table of tables) rows[table.table] = (rows[table.table] ?? 0) + table.rows.rows;
  return { input: { ...place, ...slabContent(tables, known, arena) }, key, rows };
}

/** Sections and capsules of one slab. Values of persons without a key, that is erased ones, are left out for good. */
function slabContent(
  tables: readonly TableRows[],
  known: ReadonlyMap<string, PersonKey>,
  arena: RowArena,
): Pick<SlabInput, 'sections' | 'persons'> {
  const view = ([offset, length]: readonly [number, number]) => arena.bytes.subarray(offset, offset + length);
  const persons: { ref: string; key: Buffer; parts: Uint8Array[] }[] = [];
  const indexOf = new Map<string, number>();
  const none = new Uint8Array(0);
  const sections = tables.map(({ table, columns, sealed, rows }, section) => {
    const index = rows.persons.map((person, local) => {
      const key = known.get(person);
      if (!key) return -1;
      let at = indexOf.get(person);
      if (at === undefined) {
        at = persons.push({ ...key, parts: tables.map(() => none) }) - 1;
        indexOf.set(person, at);
      }
      persons[at]!.parts[section] = view(rows.parts[local]!);
      return at;
    });
    const erased = index.includes(-1);
    const runs = rows.runs.map(([person, count]) => [person < 0 ? -1 : index[person]!, count] as const);
    const open = erased ? withNulls(view(rows.open), rows.runs, index, sealed.length) : view(rows.open);
    return { table, columns, sealed, rows: rows.rows, runs, open };
  });
  return { sections, persons };
}

const NEWLINE = 10;

/** Open rows of erased persons become whole rows with nulls where the sealed values were. Rare, so it may be slow. */
function withNulls(
  open: Uint8Array,
  runs: readonly (readonly [number, number])[],
  index: readonly number[],
  sealed: number,
): Uint8Array {
  const nulls = Buffer.from(`${'\t\\N'.repeat(sealed)}\n`);
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const [person, count] of runs) {
    const gone = person >= 0 && index[person] === -1;
    for (let row = 0; row < count; row++) {
      const end = open.indexOf(NEWLINE, at) + 1;
      if (gone) pieces.push(open.subarray(at, end - 1), nulls);
      else pieces.push(open.subarray(at, end));
      at = end;
    }
  }
  return Buffer.concat(pieces);
}
