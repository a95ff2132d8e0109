/** How the rows of one table are selected: the statement, and where in its rows tenant, person and sealed values stand. */
import { type Owner, reachPath, tableNamed } from '../datamap/reach.ts';
import type { BoundMap, BoundTable, Reach } from '../datamap/types.ts';
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

  const joins = new OwnerJoins(bound, table, spec.kind === 'tenants' ? 'join' : 'left join');
  const owners: { what: Owner; expression: string; column?: string }[] = [];
  const add = (what: Owner) => {
    const reach = table[what];
    const column = reach?.kind === 'column' ? table.columns.find((c) => c.name === reach.column) : undefined;
    const usable =
      column &&
      open.includes(column.name) &&
      PLAIN_TEXT.test(column.type) &&
      owners.every((o) => o.column !== column.name);
    const expression = usable ? '' : `${joins.column(what) ?? 'null'}::text`;
    owners.push({ what, expression, ...(usable ? { column: column.name } : {}) });
  };
  const where = predicate(bound, table, spec, planned, joins);
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
  return {
    table: table.name,
    sql: `copy (select ${selected.join(', ')} from ${qualified(table.schema, table.relname)} as "t" ${joins.sql} where ${where}) to stdout`,
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

function predicate(
  bound: BoundMap,
  table: BoundTable,
  spec: ChunkSpec,
  planned: readonly string[],
  joins: OwnerJoins,
): string {
  const parts: string[] = [];
  // Compared in the column's own type, so that its index serves.
  if (spec.kind === 'tenants') parts.push(`${joins.column('tenant')} = any(${literal(arrayText(spec.tenants))})`);
  if (spec.kind === 'rest') parts.push(leftOverPredicate(bound, table, 't', planned));
  if (spec.range) parts.push(rangePredicate(table, 't', spec.range));
  return parts.join(' and ') || 'true';
}

/**
 * The joins from a row to its tenant and to its person. Where both go through the same parent, as they mostly do, it is
 * joined once. Joins are on unique keys, so they repeat no row; `how` is `join` only where rows without a tenant are not wanted.
 */
class OwnerJoins {
  readonly #bound: BoundMap;
  readonly #table: BoundTable;
  readonly #how: 'join' | 'left join';
  readonly #aliases = new Map<string, string>();
  readonly #joins: string[] = [];

  constructor(bound: BoundMap, table: BoundTable, how: 'join' | 'left join') {
    this.#bound = bound;
    this.#table = table;
    this.#how = how;
  }

  get sql(): string {
    return this.#joins.join(' ');
  }

  /** The column that holds the tenant or the person, joined on demand; undefined when the table has none. */
  column(what: Owner): string | undefined {
    let from = 't';
    for (const { reach } of reachPath(this.#bound, this.#table, what)) {
      if (!reach) return undefined;
      if (reach.kind === 'column') return `${ident(from)}.${ident(reach.column)}`;
      from = this.#join(from, reach, what === 'tenant' ? this.#how : 'left join');
    }
    return undefined;
  }

  #join(from: string, reach: Extract<Reach, { kind: 'via' }>, how: string): string {
    const parent = tableNamed(this.#bound, reach.parent);
    const on = reach.columns.map((column, i) => [reach.parentColumns[i]!, column] as const);
    const step = JSON.stringify([from, parent.name, [...on].sort()]);
    const known = this.#aliases.get(step);
    if (known) return known;
    const alias = `t${this.#joins.length + 1}`;
    this.#aliases.set(step, alias);
    const condition = on.map(([theirs, ours]) => `${ident(alias)}.${ident(theirs)} = ${ident(from)}.${ident(ours)}`);
    this.#joins.push(
      `${how} ${qualified(parent.schema, parent.relname)} as ${ident(alias)} on ${condition.join(' and ')}`,
    );
    return alias;
  }
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
