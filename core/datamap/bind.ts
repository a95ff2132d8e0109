/** Joins the data map with the catalog of a live database. */
import { ConfigError, type HoldfastError } from '../errors.ts';
import type { Client } from '../sql.ts';
import type { Catalog, CatalogTable } from './catalog.ts';
import { introspect } from './introspect.ts';
import { resolveReach } from './resolve.ts';
import { didYouMean } from './suggest.ts';
import type { BoundColumn, BoundMap, BoundTable, ColumnRule, DataMap, TableName, TableRule } from './types.ts';

/** What Holdfast knows of tables that it protects already; empty before `install`. */
export interface Installed {
  /** Table oid -> Holdfast's id. */
  readonly ids: ReadonlyMap<number, number>;
  /** Holdfast's id -> columns the table had at any time since it was protected. */
  readonly pastColumns: ReadonlyMap<number, ReadonlySet<string>>;
  /** Names of tables that were protected and then dropped. */
  readonly dropped: ReadonlySet<TableName>;
}

const NOTHING_INSTALLED: Installed = { ids: new Map(), pastColumns: new Map(), dropped: new Set() };

/**
 * Binds a data map to a database.
 *
 * A column of the database that the map does not class is treated as personal and sealed, unless rows are found by it (keys,
 * tenant, person, path columns), then as internal; `doctor` reports it either way. A table or a classed column that
 * was dropped since `install` is passed over, so that a migration does not stop the night's backup; `doctor` reports it too.
 * @throws ConfigError HF_TABLE_UNKNOWN, HF_COLUMN_UNKNOWN, HF_REACH_INVALID: the map names something that is not there
 */
export async function bind(client: Client, map: DataMap): Promise<BoundMap> {
  const { bound, problems } = bindCatalog(await introspect(client), map, await installed(client));
  if (problems[0]) throw problems[0];
  return bound;
}

/** The same on a catalog that was read already. Bad entries become problems and are left out of the bound map. */
export function bindCatalog(
  catalog: Catalog,
  map: DataMap,
  known: Installed = NOTHING_INSTALLED,
): { bound: BoundMap; problems: HoldfastError[] } {
  const problems: HoldfastError[] = [];
  const byName = new Map(catalog.tables.map((t) => [t.name, t]));
  checkAnchor(map, 'tenants', byName, problems);
  if (map.persons) checkAnchor(map, 'persons', byName, problems);

  const tables: BoundTable[] = [];
  for (const rule of map.tables) {
    const table = byName.get(rule.name);
    if (table) tables.push(bindTable(rule, table, { map, byName, known, problems }));
    else if (!known.dropped.has(rule.name)) problems.push(unknownTable(rule.name, catalog, byName));
  }
  return { bound: { map, tables: tables.map((t) => Object.freeze(t)) }, problems };
}

interface Binding {
  readonly map: DataMap;
  readonly byName: ReadonlyMap<TableName, CatalogTable>;
  readonly known: Installed;
  readonly problems: HoldfastError[];
}

function bindTable(rule: TableRule, table: CatalogTable, binding: Binding): BoundTable {
  const { known, problems } = binding;
  const id = known.ids.get(table.oid) ?? 0;
  const names = table.columns.map((c) => c.name);
  for (const name of Object.keys(rule.columns)) {
    if (!names.includes(name) && !known.pastColumns.get(id)?.has(name)) problems.push(unknownColumn(table, name));
  }
  const tenant = resolveReach('tenant', rule, table, binding);
  const person = resolveReach('person', rule, table, binding);
  const locating = new Set([
    ...table.key,
    ...[tenant, person].flatMap((r) => (!r ? [] : r.kind === 'column' ? [r.column] : r.columns)),
  ]);
  return {
    id,
    name: table.name,
    schema: table.schema,
    relname: table.relname,
    oid: table.oid,
    partitioned: table.partitioned,
    columns: table.columns.map((column): BoundColumn => {
      const { baseType: _, typeKind: __, deterministic: ___, ...plain } = column;
      return { ...plain, rule: ruleFor(rule, column.name, locating) };
    }),
    key: table.key,
    foreignKeys: table.foreignKeys.filter((f) => f.enforced).map(({ enforced: _, ...key }) => key),
    ...(tenant ? { tenant } : {}),
    ...(person ? { person } : {}),
    erase: rule.erase,
    userTriggers: table.triggers.filter((t) => t.onRows && t.enabled !== 'D').map((t) => t.name),
    rowSecurity: table.rowSecurity,
  };
}

function ruleFor(rule: TableRule, column: string, locating: ReadonlySet<string>): ColumnRule {
  if (Object.hasOwn(rule.columns, column)) return rule.columns[column]!;
  return locating.has(column) ? { class: 'internal', sealed: false } : { class: 'personal', sealed: true };
}

function checkAnchor(
  map: DataMap,
  what: 'tenants' | 'persons',
  byName: Binding['byName'],
  problems: HoldfastError[],
): void {
  const anchor = map[what]!;
  const table = byName.get(anchor.table);
  const word = what === 'tenants' ? 'tenant' : 'person';
  if (!table) {
    problems.push(
      new ConfigError('HF_TABLE_UNKNOWN', `The ${word} table ${anchor.table} is not in the database.`, {
        action: `Correct "${word}:" in holdfast.yaml.${didYouMean(anchor.table, byName.keys())}`,
        details: { table: anchor.table },
      }),
    );
  } else if (!table.columns.some((c) => c.name === anchor.key)) {
    problems.push(unknownColumn(table, anchor.key));
  } else if (!map.tables.some((t) => t.name === anchor.table)) {
    problems.push(
      new ConfigError('HF_REACH_INVALID', `The ${word} table ${anchor.table} is not listed under "tables".`, {
        action: `Add ${anchor.table} to the tables of holdfast.yaml, with "${word}: ${anchor.key}".`,
        details: { table: anchor.table },
      }),
    );
  }
}

function unknownTable(name: TableName, catalog: Catalog, byName: Binding['byName']): ConfigError {
  const root = catalog.tables.find((t) => t.partitions.some((p) => p.name === name));
  const foreign = catalog.unsupported.find((t) => t.name === name);
  const why = root
    ? `${name} is a partition of ${root.name}; name ${root.name}, which stands for all of its partitions.`
    : foreign
      ? `${name} cannot be protected: it is ${foreign.reason}.`
      : `The table ${name} is in the data map but not in the database.`;
  const hint = root || foreign ? '' : didYouMean(name, byName.keys());
  return new ConfigError('HF_TABLE_UNKNOWN', why, {
    action: `Correct or remove ${name} in holdfast.yaml.${hint}`,
    details: { table: name },
  });
}

function unknownColumn(table: CatalogTable, name: string): ConfigError {
  const names = table.columns.map((c) => c.name);
  return new ConfigError('HF_COLUMN_UNKNOWN', `The table ${table.name} has no column ${JSON.stringify(name)}.`, {
    action: `Correct it in holdfast.yaml.${didYouMean(name, names)} Columns there are: ${names.join(', ')}.`,
    details: { table: table.name, column: name },
  });
}

/** What `install` has recorded in this database; nothing when it is not installed. */
export async function installed(client: Client): Promise<Installed> {
  const there = await client.query<{ yes: boolean }>(
    "select to_regclass('holdfast.tables') is not null and to_regclass('holdfast.table_versions') is not null as yes",
  );
  if (!there.rows[0]!.yes) return NOTHING_INSTALLED;
  const { rows } = await client.query<{ id: number; oid: string | null; name: TableName }>(
    `select t.id, c.oid::int8::text as oid, t.name from holdfast.tables t left join pg_class c on c.oid = t.oid`,
  );
  const past = await client.query<{ table_id: number; names: string[] }>(
    `select v.table_id, array_agg(distinct c ->> 'name') as names
       from holdfast.table_versions v, jsonb_array_elements(v.columns) c group by v.table_id`,
  );
  return {
    ids: new Map(rows.filter((row) => row.oid !== null).map((row) => [Number(row.oid), row.id])),
    pastColumns: new Map(past.rows.map((row) => [row.table_id, new Set(row.names)])),
    dropped: new Set(rows.filter((row) => row.oid === null).map((row) => row.name)),
  };
}
