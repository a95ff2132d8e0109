/** Checks and completes how a table reaches its tenant or person, against the catalog. */
import { ConfigError, type HoldfastError } from '../errors.ts';
import type { CatalogTable } from './catalog.ts';
import { formatReach } from './notation.ts';
import { didYouMean } from './suggest.ts';
import type { DataMap, Reach, TableName, TableRule } from './types.ts';

interface Scope {
  readonly map: DataMap;
  readonly byName: ReadonlyMap<TableName, CatalogTable>;
  readonly problems: HoldfastError[];
}

/**
 * The reach with its target written out, or undefined when the rule has none. What is wrong with it is added to
 * `scope.problems`, and then the result is undefined too.
 */
export function resolveReach(
  what: 'tenant' | 'person',
  rule: TableRule,
  table: CatalogTable,
  scope: Scope,
): Reach | undefined {
  const reach = rule[what];
  if (!reach) return undefined;
  const refuse = (code: string, message: string, action: string): undefined => {
    const problem = new ConfigError(code, `${rule.name}, ${what}: ${message}`, {
      action,
      details: { table: rule.name, what, reach: formatReach(reach) },
    });
    scope.problems.push(problem);
  };
  const missing = (at: CatalogTable, columns: readonly string[]): string | undefined =>
    columns.find((name) => !at.columns.some((c) => c.name === name));
  const noColumn = (at: CatalogTable, name: string): undefined => {
    const names = at.columns.map((c) => c.name);
    return refuse(
      'HF_COLUMN_UNKNOWN',
      `there is no column ${JSON.stringify(name)} in ${at.name}.`,
      `Correct it in holdfast.yaml.${didYouMean(name, names)} Columns there are: ${names.join(', ')}.`,
    );
  };

  const own = missing(table, reach.kind === 'column' ? [reach.column] : reach.columns);
  if (own !== undefined) return noColumn(table, own);
  if (reach.kind === 'column') return reach;

  const full = reach.parent === '' ? fromForeignKey(reach, table) : reach;
  if (!full) {
    return refuse(
      'HF_REACH_INVALID',
      `"${formatReach(reach)}" needs exactly one foreign key on (${reach.columns.join(', ')}).`,
      'Write the target out: via column -> schema.table(column).',
    );
  }
  const parent = scope.byName.get(full.parent);
  const parentRule = scope.map.tables.find((t) => t.name === full.parent);
  if (!parent || !parentRule) {
    return refuse(
      'HF_REACH_INVALID',
      `it leads to ${full.parent}, which is not ${parent ? 'among the protected tables' : 'in the database'}.`,
      parent
        ? `List ${full.parent} under "tables" in holdfast.yaml, or reach the ${what} another way.`
        : `Correct the path in holdfast.yaml.${didYouMean(full.parent, scope.byName.keys())}`,
    );
  }
  const other = missing(parent, full.parentColumns);
  if (other !== undefined) return noColumn(parent, other);
  if (!parent.uniqueKeys.some((key) => key.every((name) => full.parentColumns.includes(name)))) {
    return refuse(
      'HF_REACH_INVALID',
      `(${full.parentColumns.join(', ')}) is not unique in ${full.parent}, so a row could belong to several ${what}s.`,
      `Point to a unique key of ${full.parent}${parent.uniqueKeys.map((key) => ` (${key.join(', ')})`).join(',')}, or add one.`,
    );
  }
  if (!parentRule[what]) {
    return refuse(
      'HF_REACH_INVALID',
      `it leads to ${full.parent}, which has no ${what} itself.`,
      `Give ${full.parent} a "${what}:" in holdfast.yaml, or take it away from ${rule.name}.`,
    );
  }
  if (runsInCircle(what, rule.name, scope)) {
    return refuse(
      'HF_REACH_INVALID',
      'the path runs in a circle and never ends in a column.',
      `Let one table of the circle name the column that holds the ${what}.`,
    );
  }
  return full;
}

type Via = Extract<Reach, { kind: 'via' }>;

function fromForeignKey(reach: Via, table: CatalogTable): Via | undefined {
  const same = (columns: readonly string[]) =>
    columns.length === reach.columns.length && columns.every((name) => reach.columns.includes(name));
  const targets = new Map(
    table.foreignKeys
      .filter((key) => same(key.columns))
      .map((key): [string, Via] => {
        const via: Via = { kind: 'via', columns: key.columns, parent: key.parent, parentColumns: key.parentColumns };
        return [formatReach(via), via];
      }),
  );
  return targets.size === 1 ? [...targets.values()][0] : undefined;
}

function runsInCircle(what: 'tenant' | 'person', start: TableName, scope: Scope): boolean {
  const seen = new Set<TableName>();
  for (let name: TableName | undefined = start; name !== undefined; ) {
    if (seen.has(name)) return true;
    seen.add(name);
    const reach: Reach | undefined = scope.map.tables.find((t) => t.name === name)?.[what];
    if (reach?.kind !== 'via') return false;
    const table = scope.byName.get(name);
    name = reach.parent || (table && fromForeignKey(reach, table)?.parent);
  }
  return false;
}
