/** SQL for "whose row is this?": the tenant and the person of a row, as the data map says they are reached. */
import { ident, qualified } from '../sql.ts';
import type { BoundMap, BoundTable, Reach, TableName } from './types.ts';

export type Owner = 'tenant' | 'person';

/** The bound table of that name. @throws TypeError when the map has none (bind has checked every name in the map) */
export function tableNamed(bound: BoundMap, name: TableName): BoundTable {
  const table = bound.tables.find((t) => t.name === name);
  if (!table) throw new TypeError(`no table ${name} in the bound map`);
  return table;
}

/** The tables from this one to where the value stands in a column; its last step has a `column` reach, or none. */
export function reachPath(bound: BoundMap, table: BoundTable, what: Owner): { table: BoundTable; reach?: Reach }[] {
  const path: { table: BoundTable; reach?: Reach }[] = [];
  for (let at = table; ; at = tableNamed(bound, viaParent(at[what])!)) {
    const reach = at[what];
    path.push(reach ? { table: at, reach } : { table: at });
    if (reach?.kind !== 'via') return path;
    if (path.length > bound.tables.length) throw new TypeError(`the ${what} of ${table.name} runs in a circle`);
  }
}

const viaParent = (reach?: Reach): TableName | undefined => (reach?.kind === 'via' ? reach.parent : undefined);

/**
 * Reads a row's tenant or person: `select …, ${expression} from schema.table as "alias" ${joins}`.
 * The expression is of type text and NULL where a row has none; joins are LEFT JOINs on unique keys, so they never drop or
 * repeat a row. `alias` is the plain name (it is quoted here); join aliases start with it.
 */
export function reachSql(
  bound: BoundMap,
  table: BoundTable,
  what: Owner,
  alias: string,
): { expression: string; joins: string } {
  const joins: string[] = [];
  let from = alias;
  for (const { reach } of reachPath(bound, table, what)) {
    if (!reach) break;
    if (reach.kind === 'column') {
      return { expression: `${ident(from)}.${ident(reach.column)}::text`, joins: joins.join(' ') };
    }
    const parent = tableNamed(bound, reach.parent);
    const to = `${alias}_${what}_${joins.length + 1}`;
    const on = joinCondition(parent, to, reach, from);
    joins.push(`left join ${qualified(parent.schema, parent.relname)} as ${ident(to)} on ${on}`);
    from = to;
  }
  return { expression: 'null::text', joins: '' };
}

/**
 * A condition that holds for the rows of one tenant (`many: false`) or of an array of tenants. It compares in the column's own
 * type, so an index on the tenant column (and on the foreign keys of a path) is used; a path becomes nested EXISTS.
 * `param` is `$n` or a quoted literal. It is left untyped on purpose: PostgreSQL gives it the column's type, so the same `$n`
 * must not stand elsewhere in the statement with another type. Text that is no value of that type raises 22P02/22003.
 * Rows of a shared table belong to no tenant: `false`.
 */
export function tenantPredicate(
  bound: BoundMap,
  table: BoundTable,
  alias: string,
  param: string,
  options: { many?: boolean } = {},
): string {
  const build = (at: BoundTable, as: string, depth: number): string => {
    const reach = at.tenant;
    if (!reach) return 'false';
    if (reach.kind === 'column') {
      const value = options.many ? `any(${param})` : param;
      return `${ident(as)}.${ident(reach.column)} ${equalsOf(at, reach.column)} ${value}`;
    }
    const parent = tableNamed(bound, reach.parent);
    const inner = `${alias}_tenant_${depth}`;
    return (
      `exists (select from ${qualified(parent.schema, parent.relname)} as ${ident(inner)}` +
      ` where ${joinCondition(parent, inner, reach, as)} and ${build(parent, inner, depth + 1)})`
    );
  };
  reachPath(bound, table, 'tenant'); // refuses a circle before the recursion would follow it
  return build(table, alias, 1);
}

const equalsOf = (table: BoundTable, column: string): string =>
  table.columns.find((c) => c.name === column)?.equals ?? '=';

/** Compares with the operator of the parent's key, as the foreign key does. */
function joinCondition(parent: BoundTable, to: string, reach: Extract<Reach, { kind: 'via' }>, from: string): string {
  return reach.columns
    .map((column, i) => {
      const key = reach.parentColumns[i]!;
      return `${ident(to)}.${ident(key)} ${equalsOf(parent, key)} ${ident(from)}.${ident(column)}`;
    })
    .join(' and ');
}
