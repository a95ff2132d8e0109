/**
 * What is read in which chunk. A chunk is a batch of whole small tenants across all tables, or a share of one big tenant, or
 * shared tables. Estimates come from the planner's own statistics, because counting would cost as much as reading; a chunk
 * that turns out too large is split when it is read.
 */
import { reachPath, tableNamed } from '../datamap/reach.ts';
import type { BoundMap, BoundTable, TableName } from '../datamap/types.ts';
import { type Client, ident, qualified } from '../sql.ts';
import { keyBoundaries } from './keyRange.ts';
import { leftOverPredicate } from './leftOver.ts';

/** Text values of the key columns: `from <= key < to`; null: unbounded. */
export interface KeyRange {
  readonly from: readonly string[] | null;
  readonly to: readonly string[] | null;
}

/** One chunk to read. Plain data: it is recorded so that a killed backup goes on with the same plan. */
export interface ChunkSpec {
  /** `7`; the halves of a chunk that was split are `7.1` and `7.2`. */
  readonly id: string;
  /**
   * tenants: rows of these tenants. shared: rows of tables without tenants. rest: rows of tenant tables that belong to none of
   * the planned tenants, such as those whose tenant is null.
   */
  readonly kind: 'tenants' | 'shared' | 'rest';
  readonly tenants: readonly string[];
  readonly tables: readonly TableName[];
  /** Only with exactly one table. */
  readonly range?: KeyRange;
  /** Estimated raw bytes. */
  readonly bytes: number;
}

export interface Plan {
  readonly tenants: readonly string[];
  readonly chunks: readonly ChunkSpec[];
}

export interface PlanOptions {
  /** null: every tenant. */
  readonly tenant: string | null;
  /** Names of the tables to read. */
  readonly tables: readonly TableName[];
  /** Raw bytes that a chunk should hold. */
  readonly target: number;
}

/** A tenant larger than this many targets is not put into a batch. */
const BIG = 1.25;

/** Plans a full. Needs no lock and reads no protected table but that of the tenants (and keys of big tenants). */
export async function planChunks(client: Client, bound: BoundMap, options: PlanOptions): Promise<Plan> {
  const tables = options.tables.map((name) => tableNamed(bound, name));
  const owned = tables.filter((t) => t.tenant);
  const shared = tables.filter((t) => !t.tenant);
  const tenants = options.tenant === null ? await listTenants(client, bound) : [options.tenant];
  const sizes = await tableSizes(client, tables);
  const shares = new Map<TableName, Shares>();
  for (const table of owned) shares.set(table.name, await tenantShares(client, bound, table, tenants.length));

  const drafts: Draft[] = [];
  const estimate = (table: BoundTable, tenant: string): number =>
    sizes.get(table.name)! * shareOf(shares.get(table.name)!, tenant);

  let batch: { tenants: string[]; bytes: number } = { tenants: [], bytes: 0 };
  const flush = () => {
    if (batch.tenants.length > 0)
      drafts.push({ kind: 'tenants', tables: names(owned), tenants: batch.tenants, bytes: Math.round(batch.bytes) });
    batch = { tenants: [], bytes: 0 };
  };
  for (const tenant of owned.length > 0 ? tenants : []) {
    const bytes = owned.reduce((sum, table) => sum + estimate(table, tenant), 0);
    if (bytes > options.target * BIG) {
      const parts = owned.map((table) => ({ table, bytes: estimate(table, tenant) }));
      drafts.push(...(await split(client, bound, { kind: 'tenants', tenants: [tenant] }, parts, options.target)));
      continue;
    }
    if (batch.bytes + bytes > options.target) flush();
    batch.tenants.push(tenant);
    batch.bytes += bytes;
  }
  flush();
  const parts = shared.map((table) => ({ table, bytes: sizes.get(table.name)! }));
  drafts.push(...(await split(client, bound, { kind: 'shared', tenants: [] }, parts, options.target)));
  if (options.tenant === null) {
    const loose = owned.filter((table) => leftOverPredicate(bound, table, 't', tenants) !== 'false');
    if (loose.length > 0) drafts.push({ kind: 'rest', tenants: [], tables: names(loose), bytes: 0 });
  }
  return { tenants, chunks: drafts.map((draft, index) => ({ id: String(index + 1), ...draft })) };
}

type Draft = Omit<ChunkSpec, 'id'>;
const names = (tables: readonly BoundTable[]): TableName[] => tables.map((t) => t.name);

/** Tables of one owner, cut into chunks: big tables by key range, small ones together. */
async function split(
  client: Client,
  bound: BoundMap,
  owner: Pick<ChunkSpec, 'kind' | 'tenants'>,
  parts: readonly { table: BoundTable; bytes: number }[],
  target: number,
): Promise<Draft[]> {
  const drafts: Draft[] = [];
  let small: { tables: TableName[]; bytes: number } = { tables: [], bytes: 0 };
  const flush = () => {
    if (small.tables.length > 0) drafts.push({ ...owner, ...small });
    small = { tables: [], bytes: 0 };
  };
  for (const { table, bytes } of parts) {
    if (bytes > target * BIG && table.key.length > 0) {
      const ranges = await keyBoundaries(client, bound, table, owner, Math.ceil(bytes / target));
      for (const range of ranges)
        drafts.push({ ...owner, tables: [table.name], range, bytes: Math.round(bytes / ranges.length) });
      continue;
    }
    if (small.bytes + bytes > target) flush();
    small.tables.push(table.name);
    small.bytes += Math.round(bytes);
  }
  flush();
  return drafts;
}

/** In physical order: rows that were made together lie together, in this table and mostly in the others. */
async function listTenants(client: Client, bound: BoundMap): Promise<string[]> {
  const { table, key } = bound.map.tenants;
  const { schema, relname } = tableNamed(bound, table);
  const { rows } = await client.query<{ tenant: string }>(
    `select ${ident(key)}::text as tenant from ${qualified(schema, relname)} order by tableoid, ctid`,
  );
  return rows.map((row) => row.tenant);
}

/** Bytes on disk, indexes left out: near enough to the size of the rows as text. */
export async function tableSizes(client: Client, tables: readonly BoundTable[]): Promise<Map<TableName, number>> {
  const { rows } = await client.query<{ oid: string; bytes: string }>(
    `select r.oid::int8::text as oid,
            (select coalesce(sum(pg_table_size(p.relid)), 0) from pg_partition_tree(r.oid) p where p.isleaf)
            + case when exists (select from pg_partition_tree(r.oid)) then 0 else pg_table_size(r.oid) end as bytes
       from unnest($1::oid[]) as r (oid)`,
    [tables.map((t) => t.oid)],
  );
  const byOid = new Map(rows.map((row) => [Number(row.oid), Number(row.bytes)]));
  return new Map(tables.map((t) => [t.name, byOid.get(t.oid) ?? 0]));
}

/** How a table's rows spread over tenants: the frequent ones by name, the others alike. */
interface Shares {
  readonly frequent: ReadonlyMap<string, number>;
  readonly others: number;
}

const shareOf = (shares: Shares, tenant: string): number => shares.frequent.get(tenant) ?? shares.others;

/** From `pg_stats` of the column that holds the tenant, in this table or in the one that its path ends at. */
async function tenantShares(client: Client, bound: BoundMap, table: BoundTable, tenants: number): Promise<Shares> {
  const { table: holder, reach } = reachPath(bound, table, 'tenant').at(-1)!;
  if (reach?.kind !== 'column' || tenants === 0) return { frequent: new Map(), others: 0 };
  const { rows } = await client.query<{ vals: string[] | null; freqs: number[] | null; nulls: number }>(
    `select most_common_vals::text::text[] as vals, most_common_freqs as freqs, null_frac as nulls
       from pg_stats where schemaname = $1 and tablename = $2 and attname = $3 order by inherited desc limit 1`,
    [holder.schema, holder.relname, reach.column],
  );
  const { vals, freqs, nulls } = rows[0] ?? { vals: null, freqs: null, nulls: 0 };
  const frequent = new Map((vals ?? []).map((value, i) => [value, freqs![i]!]));
  const left = 1 - nulls - (freqs ?? []).reduce((sum, f) => sum + f, 0);
  return { frequent, others: Math.max(0, left) / Math.max(1, tenants - frequent.size) };
}
