/** Compares what is staged with what is live, and marks each staged row with what has to be done. */

import { tenantPredicate } from '../datamap/reach.ts';
import type { BoundMap } from '../datamap/types.ts';
import { type Client, ident, literal } from '../sql.ts';
import { batch, union } from './batch.ts';
import type { StagedTable } from './stage.ts';
import type { TableWork } from './statement.ts';
import { keyMatch } from './target.ts';

/** The tenant whose rows may be touched. */
export interface Scope {
  readonly bound: BoundMap;
  readonly tenant: string;
}

/** Two values are the same when PostgreSQL prints the same: `1.0` is not `1.00`, and -0 is not 0. */
const differs = (a: string, b: string): string =>
  `row(${a})::text collate "C" is distinct from row(${b})::text collate "C"`;

/**
 * Sets `_hf_do` and `_hf_changed`. A row counts as live only when it is the tenant's: a key that another tenant holds now is
 * marked as an insert and meets the unique index, which names it. Rows that need nothing leave the stage.
 */
export async function classify(client: Client, tables: readonly StagedTable[], scope: Scope): Promise<void> {
  await batch(
    client,
    tables.flatMap((staged) => marks(staged, scope)),
  );
}

function marks({ target, sql }: StagedTable, scope: Scope): string[] {
  const changed = target.columns.map((c) => {
    const column = ident(c.name);
    return `case when ${differs(`t.${column}`, `s.${column}`)} then ${c.attnum}::int2 end`;
  });
  const own = tenantPredicate(scope.bound, target.bound, 't', literal(scope.tenant));
  return [
    `update ${sql} s set (_hf_do, _hf_changed) = (
       select case when s._hf_kind = 'A' then 'D' when cardinality(x.changed) > 0 then 'U' else '-' end::"char", x.changed
         from (select case when s._hf_kind = 'F' then array_remove(array[${changed.join(', ')}], null) end as changed
                 from ${target.sql} t where ${keyMatch(target, 't', 's')} and ${own}) x)`,
    `update ${sql} set _hf_do = case _hf_kind when 'A' then '-' else 'I' end::"char" where _hf_do is null`,
    `delete from ${sql} where _hf_do = '-'`,
  ];
}

/** Removes rows that the live table holds as they are; cheaper than to ask of each column whether it differs. */
export function withoutEqual({ target, sql }: StagedTable, scope: Scope): string {
  const row = (alias: string) => target.columns.map((c) => `${alias}.${ident(c.name)}`).join(', ');
  const own = tenantPredicate(scope.bound, target.bound, 't', literal(scope.tenant));
  return `delete from ${sql} s using ${target.sql} t
    where s._hf_kind = 'F' and ${keyMatch(target, 't', 's')} and ${own} and not (${differs(row('t'), row('s'))})`;
}

/** What there is to do in each of these tables; those without anything to do are left out. */
export async function worksOf(client: Client, tables: readonly StagedTable[]): Promise<TableWork[]> {
  const byId = new Map(tables.map((t) => [t.target.bound.id, t]));
  const rows = await union<Omit<TableWork, 'staged' | 'columns'> & { id: number; changed: number[] }>(
    client,
    tables.map(
      ({ target, sql }) =>
        `select ${target.bound.id} as id, count(*) filter (where _hf_do = 'I')::int as inserts,
                count(*) filter (where _hf_do = 'U')::int as updates, count(*) filter (where _hf_do = 'R')::int as replaces,
                count(*) filter (where _hf_do = 'D' and not _hf_late)::int as deletes,
                count(*) filter (where _hf_do = 'D' and _hf_late)::int as "lateDeletes",
                (select coalesce(array_agg(distinct _hf_number), '{}') from ${sql}, unnest(_hf_changed) _hf_number where _hf_do = 'U') as changed
           from ${sql} having count(*) > 0`,
    ),
  );
  return rows.map(({ id, changed, ...counts }) => {
    const staged = byId.get(id)!;
    const columns = staged.target.columns.filter((c) => changed.includes(c.attnum)).map((c) => c.name);
    return { staged, ...counts, columns };
  });
}

/**
 * The first fence: every row that will be written must say that it is the tenant's own. Rows whose tenant stands in a
 * column are checked here, before anything is written; the others by the guard in the capture trigger.
 * Returns the records that fail, of the first table where some do.
 */
export async function foreignRows(
  client: Client,
  tables: readonly StagedTable[],
  scope: Scope,
): Promise<{ staged: StagedTable; records: string[] } | undefined> {
  const queries = tables.flatMap(({ target: { bound }, sql }) =>
    bound.tenant?.kind !== 'column'
      ? []
      : `select ${bound.id} as id, _hf_record as record from ${sql}
          where _hf_do in ('I', 'U', 'R') and ${ident(bound.tenant.column)}::text is distinct from ${literal(scope.tenant)} limit 5`,
  );
  const rows = await union<{ id: number; record: string }>(client, queries);
  const staged = tables.find((t) => t.target.bound.id === rows[0]?.id);
  return staged && { staged, records: rows.filter((r) => r.id === rows[0]!.id).map((r) => r.record) };
}
