/** Unique keys over plain columns, whose holders can be looked for before a row is written. PostgreSQL checks the others. */
import type { BoundTable } from '../../datamap/types.ts';
import type { Client } from '../../sql.ts';

export interface PlainUnique {
  readonly name: string;
  readonly columns: readonly string[];
  readonly attnums: readonly number[];
}

/** By Holdfast's id of the table. */
export async function readPlainUniques(
  client: Client,
  tables: readonly BoundTable[],
): Promise<ReadonlyMap<number, readonly PlainUnique[]>> {
  const { rows } = await client.query(
    `select i.indrelid as oid, r.relname as name,
            array_agg(a.attname::text order by k.n) as columns, array_agg(a.attnum order by k.n) as attnums
       from pg_index i join pg_class r on r.oid = i.indexrelid
       cross join unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality k (attnum, n)
       join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
      where i.indrelid = any ($1::oid[]) and i.indisunique and i.indexprs is null and i.indpred is null
        and not exists (select from unnest(i.indkey[0:i.indnkeyatts - 1]) x where x <= 0)
      group by i.indrelid, r.relname order by r.relname`,
    [tables.map((t) => t.oid)],
  );
  return new Map(tables.map((t) => [t.id, rows.filter((r) => r.oid === t.oid) as PlainUnique[]]));
}
