/** Rows of tenant tables that no planned tenant owns: tenant null, parent missing, or a tenant that the tenant table lacks. */
import { tableNamed } from '../datamap/reach.ts';
import type { BoundMap, BoundTable } from '../datamap/types.ts';
import { ident, literal, qualified } from '../sql.ts';
import { arrayText } from './literals.ts';

/**
 * The condition that selects them, or `false` where foreign keys and NOT NULL rule them out, so that a well-made schema pays
 * nothing for rows that it cannot have.
 */
export function leftOverPredicate(
  bound: BoundMap,
  table: BoundTable,
  alias: string,
  tenants: readonly string[],
): string {
  const build = (at: BoundTable, as: string, depth: number): string => {
    const reach = at.tenant;
    if (!reach) return 'true';
    const column = (name: string) => `${ident(as)}.${ident(name)}`;
    const nullable = (name: string) => !at.columns.find((c) => c.name === name)!.notNull;
    if (reach.kind === 'column') {
      const parts = nullable(reach.column) ? [`${column(reach.column)} is null`] : [];
      if (!pointsAtTenants(bound, at, reach.column))
        parts.push(`${column(reach.column)} <> all(${literal(arrayText(tenants))})`);
      return anyOf(parts);
    }
    const parent = tableNamed(bound, reach.parent);
    const inner = `${alias}_${depth}`;
    const from = `${qualified(parent.schema, parent.relname)} as ${ident(inner)}`;
    const parts = reach.columns.filter(nullable).map((name) => `${column(name)} is null`);
    const above = build(parent, inner, depth + 1);
    const keys = reach.parentColumns.map((name) => `${ident(inner)}.${ident(name)}`).join(', ');
    const own = reach.columns.map(column).join(', ');
    if (above !== 'false') parts.push(`(${own}) in (select ${keys} from ${from} where ${above})`);
    if (!hasForeignKey(at, reach.columns, parent.name, reach.parentColumns)) {
      const same = reach.columns.map(
        (name, i) => `${ident(inner)}.${ident(reach.parentColumns[i]!)} = ${column(name)}`,
      );
      parts.push(`not exists (select from ${from} where ${same.join(' and ')})`);
    }
    return anyOf(parts);
  };
  return build(table, alias, 1);
}

const anyOf = (parts: readonly string[]): string => (parts.length === 0 ? 'false' : `(${parts.join(' or ')})`);

function pointsAtTenants(bound: BoundMap, table: BoundTable, column: string): boolean {
  const { table: tenants, key } = bound.map.tenants;
  return (table.name === tenants && column === key) || hasForeignKey(table, [column], tenants, [key]);
}

function hasForeignKey(
  table: BoundTable,
  columns: readonly string[],
  parent: string,
  parentColumns: readonly string[],
) {
  const pairs = (a: readonly string[], b: readonly string[]) => a.map((x, i) => JSON.stringify([x, b[i]])).sort();
  const wanted = String(pairs(columns, parentColumns));
  return table.foreignKeys.some((f) => f.parent === parent && String(pairs(f.columns, f.parentColumns)) === wanted);
}
