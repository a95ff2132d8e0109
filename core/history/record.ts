/** The record id that the trail carries: a key's text, or a JSON array of texts where the key has several columns. */
import type { BoundTable } from '../datamap/types.ts';
import { ident } from '../sql.ts';

/** The same bytes as jsonb prints, which the trigger writes: a space after each comma. */
export function recordText(key: readonly string[]): string {
  return key.length === 1 ? key[0]! : `[${key.map((part) => JSON.stringify(part)).join(', ')}]`;
}

/** The key's texts back. `columns` is how many the key has. */
export function parseRecord(record: string, columns: number): string[] {
  return columns === 1 ? [record] : (JSON.parse(record) as string[]);
}

/** Types whose cast to text is their output function. For the others `format('%s')` calls it, more slowly. */
const PLAIN_CAST =
  /^(smallint|integer|bigint|numeric|real|double precision|text|character varying|uuid|bytea|date|interval|timestamp|time|json|jsonb|money|bit|oid|int[48]range|numrange|daterange|ts(tz)?range|pg_lsn|macaddr8?)(\(|\b(?! *\[)|$)/;

/** A column's value as its type writes it, which is what the trail holds. It needs the settings that `connect` pins. */
export function textSql(alias: string, column: { readonly name: string; readonly type: string }): string {
  const value = `${ident(alias)}.${ident(column.name)}`;
  const plain = PLAIN_CAST.test(column.type) || column.type.endsWith('[]');
  return plain ? `${value}::text` : `case when num_nonnulls(${value}) > 0 then format('%s', ${value}) end`;
}

/** The record id of a row, as SQL over `alias`; NULL for a table without a key. */
export function recordSql(table: BoundTable, alias: string): string {
  const parts = table.key.map((name) => textSql(alias, table.columns.find((c) => c.name === name)!));
  if (parts.length === 0) return 'null::text';
  return parts.length === 1 ? parts[0]! : `jsonb_build_array(${parts.join(', ')})::text`;
}
