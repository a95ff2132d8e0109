/** From the record id of a change to key values and back; `holdfast.record_sql` writes it. */
import type { Text } from '../history/types.ts';
import type { Client } from '../sql.ts';
import type { TargetTable } from './target.ts';

/** Key values in the order of the table's key: the text itself, or the parts of a JSON array of texts. */
export function keyOf(target: TargetTable, record: string): readonly Text[] {
  return target.bound.key.length === 1 ? [record] : (JSON.parse(record) as string[]);
}

/** The SQL expression that gives the record id of a row called `alias`. Needs an installed Holdfast. */
export async function recordSql(client: Client, target: TargetTable, alias: string): Promise<string> {
  const attnums = target.bound.key.map((name) => target.columns.find((c) => c.name === name)!.attnum);
  const { rows } = await client.query('select holdfast.record_sql($1, $2, $3) as sql', [
    target.bound.oid,
    JSON.stringify(attnums),
    alias,
  ]);
  return rows[0].sql as string;
}
