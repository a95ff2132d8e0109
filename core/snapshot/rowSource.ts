/** How the rows of one table are selected: the statement, and where in its rows tenant, person and sealed values stand. */
import { reachPath, reachSql, tenantPredicate } from '../datamap/reach.ts';
import type { BoundMap, BoundTable } from '../datamap/types.ts';
import { ConfigError } from '../errors.ts';
import { ident, literal, qualified } from '../sql.ts';
import { rangePredicate } from './keyRange.ts';
import { leftOverPredicate } from './leftOver.ts';
import { arrayText } from './literals.ts';
import type { ChunkSpec } from './plan.ts';
import type { RowLayout } from './split.ts';

export interface RowSource {
  readonly table: string;
  /** `copy (…) to stdout` */
  readonly sql: string;
  readonly layout: RowLayout;
  /** Open columns as they are stored, then the sealed ones. */
  readonly columns: readonly string[];
  readonly sealed: readonly string[];
  /** Where every row belongs when the layout names no tenant field; null: to none. */
  readonly tenant: string | null;
}

/** Types whose COPY text is the same as their cast to text, so that a stored column can serve to tell owners apart. */
const PLAIN_TEXT = /^(uuid|smallint|integer|bigint|text|character varying(\(\d+\))?)$/;

/** @throws ConfigError HF_MAP_ALL_SEALED */
export function rowSource(bound: BoundMap, table: BoundTable, spec: ChunkSpec, planned: readonly string[]): RowSource {
  const stored = table.columns.filter((c) => c.generated === '');
  const sealed = table.person ? stored.filter((c) => c.rule.sealed).map((c) => c.name) : [];
  const open = stored.map((c) => c.name).filter((name) => !sealed.includes(name));
  if (open.length === 0) throw allSealed(table);
  const one = spec.kind === 'tenants' && spec.tenants.length === 1;

  const owners: { what: 'tenant' | 'person'; expression: string; joins: string; column?: string }[] = [];
  const add = (what: 'tenant' | 'person') => {
    const reach = table[what];
    const column = reach?.kind === 'column' ? table.columns.find((c) => c.name === reach.column) : undefined;
    const usable =
      column &&
      open.includes(column.name) &&
      PLAIN_TEXT.test(column.type) &&
      owners.every((o) => o.column !== column.name);
    owners.push({ what, ...reachSql(bound, table, what, 't'), ...(usable ? { column: column.name } : {}) });
  };
  if (spec.kind !== 'shared' && !one) add('tenant');
  if (sealed.length > 0) add('person');
  // Helper fields first: what is stored is then one piece of the row.
  owners.sort((a, b) => Number(a.column !== undefined) - Number(b.column !== undefined));
  const leading = owners.flatMap((o) => (o.column === undefined ? [] : [o.column]));
  const columns = [...leading, ...open.filter((name) => !leading.includes(name))];
  const column = (name: string) => `"t".${ident(name)}`;
  const selected = [
    ...owners.filter((o) => o.column === undefined).map((o) => o.expression),
    ...[...columns, ...sealed].map(column),
  ];
  const joins = owners.filter((o) => o.column === undefined).map((o) => o.joins);
  return {
    table: table.name,
    sql: `copy (select ${selected.join(', ')} from ${qualified(table.schema, table.relname)} as "t" ${joins.join(' ')} where ${predicate(bound, table, spec, planned)}) to stdout`,
    layout: {
      tenantField: owners.findIndex((o) => o.what === 'tenant'),
      personField: owners.findIndex((o) => o.what === 'person'),
      helpers: owners.length - leading.length,
      open: columns.length,
      sealed: sealed.length,
    },
    columns,
    sealed,
    tenant: one ? spec.tenants[0]! : null,
  };
}

function predicate(bound: BoundMap, table: BoundTable, spec: ChunkSpec, planned: readonly string[]): string {
  const parts: string[] = [];
  if (spec.kind === 'tenants') {
    parts.push(tenantPredicate(bound, table, 't', literal(arrayText(spec.tenants)), { many: true }));
  }
  if (spec.kind === 'rest') parts.push(leftOverPredicate(bound, table, 't', planned));
  if (spec.range) parts.push(rangePredicate(table, 't', spec.range));
  return parts.join(' and ') || 'true';
}

/** The tables that a chunk's statements touch: those it reads, and those on the way to their owners. */
export function tablesTouched(bound: BoundMap, tables: readonly BoundTable[]): BoundTable[] {
  const touched = new Set<BoundTable>();
  for (const table of tables) {
    touched.add(table);
    for (const what of ['tenant', 'person'] as const)
      for (const step of reachPath(bound, table, what)) touched.add(step.table);
  }
  return [...touched];
}

const allSealed = (table: BoundTable) =>
  new ConfigError('HF_MAP_ALL_SEALED', `Every column of ${table.name} is sealed, so its rows cannot be told apart.`, {
    action: `Set "sealed: false" for a key column of ${table.name} in holdfast.yaml.`,
    details: { table: table.name },
  });
