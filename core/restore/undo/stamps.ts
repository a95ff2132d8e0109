/** Whether the schema is still what was read of it. */
import type { Client } from '../../sql.ts';

/** Digest of each table's catalog rows, by Holdfast's id. */
export type Stamps = ReadonlyMap<number, string>;

/** The schema changed under what was known of it; the caller reads it again and tries once more. */
export class SchemaMoved extends Error {}

/**
 * Query for `id`, `stamp`: changes whenever a column, constraint, index, trigger or policy of one of these tables does. Foreign
 * keys that point at a table show as triggers on it. Triggers go by what they are and not by when they were written, because a
 * restore rests and wakes them.
 */
export const stampSql = (ids: readonly number[]): string => `
  select t.id, md5(concat_ws(' ', c.xmin, c.relfilenode, (select string_agg(concat(a.attnum, a.xmin), ' ' order by a.attnum) from pg_attribute a where a.attrelid = c.oid),
    (select string_agg(concat(g.oid, g.tgenabled, g.tgtype, g.tgfoid), ' ' order by g.oid) from pg_trigger g where g.tgrelid = c.oid),
    (select string_agg(concat(k.oid, k.xmin), ' ' order by k.oid) from pg_constraint k where k.conrelid = c.oid),
    (select string_agg(concat(i.indexrelid, i.xmin), ' ' order by i.indexrelid) from pg_index i where i.indrelid = c.oid),
    (select string_agg(concat(p.oid, p.xmin), ' ' order by p.oid) from pg_policy p where p.polrelid = c.oid))) as stamp
    from holdfast.tables t join pg_class c on c.oid = t.oid where t.id = any ('{${ids.join(',')}}'::int[])`;

/** @throws SchemaMoved */
export async function checkStamps(client: Client, known: Stamps, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  compareStamps(known, (await client.query(stampSql(ids))).rows, ids.length);
}

/**
 * @param rows what `stampSql` gave for `count` tables
 * @throws SchemaMoved
 */
export function compareStamps(known: Stamps, rows: readonly { id: number; stamp: string }[], count: number): void {
  if (rows.length !== count || rows.some((r) => known.get(r.id) !== r.stamp)) throw new SchemaMoved();
}
