/** Key ranges of one table: where to cut, and the condition that selects one. */
import { tenantPredicate } from '../datamap/reach.ts';
import type { BoundMap, BoundTable } from '../datamap/types.ts';
import { type Client, ident, literal, qualified } from '../sql.ts';
import type { ChunkSpec, KeyRange } from './plan.ts';

/** Cuts the rows that a chunk reads of a table into `pieces` ranges of about as many rows each. */
export async function keyBoundaries(
  client: Client,
  bound: BoundMap,
  table: BoundTable,
  owner: Pick<ChunkSpec, 'kind' | 'tenants' | 'range'>,
  pieces: number,
): Promise<KeyRange[]> {
  const key = table.key.map((column) => `t.${ident(column)}`).join(', ');
  const texts = table.key.map((column) => `${ident(column)}::text`).join(', ');
  const where = [
    owner.kind === 'tenants' ? tenantPredicate(bound, table, 't', '$1', { many: true }) : '$1::text[] is not null',
    ...(owner.range ? [rangePredicate(table, 't', owner.range)] : []),
  ].join(' and ');
  const { rows } = await client.query<{ cut: string[] }>(
    `select array[${texts}] as cut
       from (select s.*, lag(tile) over (order by number) as before
               from (select ${key}, row_number() over w as number, ntile($2::int) over w as tile
                       from ${qualified(table.schema, table.relname)} as t where ${where}
                     window w as (order by ${key})) s) s
      where before <> tile order by number`,
    [owner.tenants, pieces],
  );
  return rangesBetween(rows.map((row) => row.cut));
}

function rangesBetween(cuts: readonly (readonly string[])[]): KeyRange[] {
  return [...cuts, null].map((to, i) => ({ from: i === 0 ? null : cuts[i - 1]!, to }));
}

/** `(k1, k2) >= (…) and (k1, k2) < (…)`, in the types of the key's own columns. */
export function rangePredicate(table: BoundTable, alias: string, range: KeyRange): string {
  const key = `(${table.key.map((column) => `${ident(alias)}.${ident(column)}`).join(', ')})`;
  const values = (texts: readonly string[]) =>
    `(${texts.map((text, i) => `${literal(text)}::${typeOf(table, table.key[i]!)}`).join(', ')})`;
  const parts = [
    ...(range.from ? [`${key} >= ${values(range.from)}`] : []),
    ...(range.to ? [`${key} < ${values(range.to)}`] : []),
  ];
  return parts.join(' and ') || 'true';
}

/** As format_type printed it, schema and quotes included: safe to write into a statement. */
const typeOf = (table: BoundTable, column: string): string => table.columns.find((c) => c.name === column)!.type;
