/** What the rows of a tenant point at within the tenant: foreign keys, and the paths that only the data map declares. Pure. */
import { tableNamed } from '../../datamap/reach.ts';
import type { BoundMap, BoundTable } from '../../datamap/types.ts';

export interface Reference {
  readonly child: BoundTable;
  readonly columns: readonly string[];
  readonly parent: BoundTable;
  readonly parentColumns: readonly string[];
  /** Name of the foreign key; null where only the data map says so. */
  readonly constraint: string | null;
}

/** References to tables whose rows belong to tenants. What points at shared tables is not among them: it stays as it is. */
export function referencesOf(bound: BoundMap, child: BoundTable): Reference[] {
  const found: Reference[] = child.foreignKeys.flatMap((key) => {
    const parent = bound.tables.find((t) => t.name === key.parent);
    if (!parent?.tenant || computed(child, key.columns) || computed(parent, key.parentColumns)) return [];
    return [{ child, columns: key.columns, parent, parentColumns: key.parentColumns, constraint: key.name }];
  });
  const declare = (columns: readonly string[], parent: BoundTable, parentColumns: readonly string[]) => {
    const known = found.some((r) => r.parent === parent && columns.every((c) => r.columns.includes(c)));
    if (!known && parent !== child) found.push({ child, columns, parent, parentColumns, constraint: null });
  };
  for (const reach of [child.tenant, child.person]) {
    if (reach?.kind === 'via') declare(reach.columns, tableNamed(bound, reach.parent), reach.parentColumns);
  }
  const { persons } = bound.map;
  if (persons && child.person?.kind === 'column') {
    const parent = tableNamed(bound, persons.table);
    if (parent.tenant) declare([child.person.column], parent, [persons.key]);
  }
  return found;
}

/** Such columns follow from others, and so does what they point at. */
const computed = (table: BoundTable, names: readonly string[]): boolean =>
  table.columns.some((c) => c.generated !== '' && names.includes(c.name));

/** The column that says whose row it is, when it is one of the row's own. */
export const tenantColumn = (table: BoundTable): string | undefined =>
  table.tenant?.kind === 'column' ? table.tenant.column : undefined;
