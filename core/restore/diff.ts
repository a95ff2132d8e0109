/** Compares what is staged with what is live, and marks each staged row with what has to be done. */

import { tenantPredicate } from '../datamap/reach.ts';
import type { BoundMap } from '../datamap/types.ts';
import { type Client, ident } from '../sql.ts';
import type { StagedTable } from './stage.ts';
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
 * marked as an insert and meets the unique index, which names it. Rows that need nothing leave the stage. Returns whether
 * any are left.
 */
export async function classify(client: Client, staged: StagedTable, scope: Scope): Promise<boolean> {
  const { target, sql } = staged;
  const changed = target.columns.map((c) => {
    const column = ident(c.name);
    return `case when ${differs(`t.${column}`, `s.${column}`)} then ${c.attnum}::int2 end`;
  });
  await client.query(
    `update ${sql} s set (_hf_do, _hf_changed) = (
       select case when s._hf_kind = 'A' then 'D' when cardinality(x.changed) > 0 then 'U' else '-' end::"char", x.changed
         from (select case when s._hf_kind = 'F' then array_remove(array[${changed.join(', ')}], null) end as changed
                 from ${target.sql} t
                where ${keyMatch(target, 't', 's')} and ${tenantPredicate(scope.bound, target.bound, 't', '$1')}) x)`,
    [scope.tenant],
  );
  await client.query(
    `update ${sql} set _hf_do = case _hf_kind when 'A' then '-' else 'I' end::"char" where _hf_do is null`,
  );
  await client.query(`delete from ${sql} where _hf_do = '-'`);
  const { rows } = await client.query(`select exists (select from ${sql}) as busy`);
  return rows[0].busy as boolean;
}

/**
 * The first fence: every row that will be written must say that it is the tenant's own. Rows whose tenant stands in a
 * column are checked here, before anything is written; the others by the guard in the capture trigger.
 * Returns the records that fail.
 */
export async function foreignRows(client: Client, staged: StagedTable, scope: Scope): Promise<string[]> {
  const reach = staged.target.bound.tenant;
  if (reach?.kind !== 'column') return [];
  const { rows } = await client.query(
    `select _hf_record as record from ${staged.sql}
      where _hf_do in ('I', 'U', 'R') and ${ident(reach.column)}::text is distinct from $1 limit 5`,
    [scope.tenant],
  );
  return rows.map((r) => r.record as string);
}
