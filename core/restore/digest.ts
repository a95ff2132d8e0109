/** Order-independent digests of rows: equal digests and counts mean equal sets of rows, wherever and in whatever order they stand. */
import { tenantPredicate } from '../datamap/reach.ts';
import type { BoundMap, BoundTable } from '../datamap/types.ts';
import { type Client, ident, literal, qualified } from '../sql.ts';

export interface TableDigest {
  readonly rows: number;
  /** Two sums of 64-bit slices of the rows' MD5, in decimal. */
  readonly digest: string;
}

/** By table name. */
export type Digests = Readonly<Record<string, TableDigest>>;

/** A row as PostgreSQL prints it; generated columns are left out, because they follow from the others. */
export function rowText(table: BoundTable, alias: string): string {
  const columns = table.columns.filter((c) => !c.generated).map((c) => `${alias}.${ident(c.name)}`);
  return `row(${columns.join(', ')})::text`;
}

/** `select rows, digest` over a query that yields one text column `r`. */
export const digestSql = (rows: string): string => `
  select count(*)::float8 as rows,
         coalesce(sum(('x' || left(h, 16))::bit(64)::bigint), 0) || ':' ||
         coalesce(sum(('x' || right(h, 16))::bit(64)::bigint), 0) as digest
    from (select md5(r) as h from (${rows}) q) p`;

/**
 * One digest per table of a tenant's live rows, read in the transaction that the caller is in (REPEATABLE READ, for one moment).
 * `tenant` null: every row of every table, shared ones included.
 */
export async function tenantDigest(client: Client, bound: BoundMap, tenant: string | null): Promise<Digests> {
  const digests: Record<string, TableDigest> = {};
  for (const table of bound.tables) {
    if (tenant !== null && !table.tenant) continue;
    const own = tenant === null ? 'true' : tenantPredicate(bound, table, 't', literal(tenant));
    const from = `${qualified(table.schema, table.relname)} t`;
    const { rows } = await client.query(digestSql(`select ${rowText(table, 't')} as r from ${from} where ${own}`));
    digests[table.name] = rows[0] as TableDigest;
  }
  return digests;
}
