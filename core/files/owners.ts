/** Which files a tenant has, and whose they are: what the rows of the set's table say. */
import { reachSql, tableNamed, tenantPredicate } from '../datamap/reach.ts';
import { didYouMean } from '../datamap/suggest.ts';
import type { BoundMap, BoundTable } from '../datamap/types.ts';
import { ConfigError } from '../errors.ts';
import { leftOverPredicate } from '../snapshot/leftOver.ts';
import { SHARED } from '../snapshot/types.ts';
import { type Client, ident, qualified, READ_SNAPSHOT, transaction } from '../sql.ts';
import type { FileSetSetting, Part } from './types.ts';

/** A file as a row names it. */
export interface OwnedPath {
  readonly path: string;
  /** The person's id, or null. */
  readonly person: string | null;
}

/** @throws ConfigError HF_TABLE_UNKNOWN, HF_COLUMN_UNKNOWN when holdfast.yaml names what is not there */
export function checkSet(bound: BoundMap, set: FileSetSetting): BoundTable {
  const names = bound.tables.map((t) => t.name);
  const table = bound.tables.find((t) => t.name === set.table);
  if (!table) {
    throw new ConfigError('HF_TABLE_UNKNOWN', `files: ${set.name}: ${set.table} is not a protected table.`, {
      action: `Name a table of holdfast.yaml.${didYouMean(set.table, names)}`,
      details: { set: set.name, table: set.table },
    });
  }
  const columns = table.columns.map((c) => c.name);
  if (!columns.includes(set.column)) {
    throw new ConfigError('HF_COLUMN_UNKNOWN', `files: ${set.name}: ${set.table} has no column "${set.column}".`, {
      action: `Correct it in holdfast.yaml.${didYouMean(set.column, columns)} Columns there are: ${columns.join(', ')}.`,
      details: { set: set.name, table: set.table, column: set.column },
    });
  }
  return table;
}

/**
 * The files of one tenant, or a part of them, each once per person that owns it; `_shared`: those of rows without a tenant, where
 * `tenants` are all that there are. One short transaction.
 */
export async function ownedPaths(
  client: Client,
  bound: BoundMap,
  set: FileSetSetting,
  tenant: string,
  tenants: readonly string[],
  part?: Part,
): Promise<OwnedPath[]> {
  const table = tableNamed(bound, set.table);
  const shared = tenant === SHARED;
  const where = shared ? leftOverPredicate(bound, table, 'r', tenants) : tenantPredicate(bound, table, 'r', '$1');
  if (where === 'false') return [];
  const person = reachSql(bound, table, 'person', 'r');
  const value = `r.${ident(set.column)}::text`;
  const { rows } = await transaction(client, READ_SNAPSHOT, () =>
    client.query<{ value: string; person: string | null }>(
      `select distinct ${value} as value, ${person.expression} as person
         from ${qualified(table.schema, table.relname)} as r ${person.joins}
        where ${where} and ${value} is not null ${part ? `and ${partPredicate(value, part)}` : ''}`,
      shared ? [] : [tenant],
    ),
  );
  return rows
    .filter((row) => row.value.startsWith(set.strip))
    .map((row) => ({ path: row.value.slice(set.strip.length), person: row.person }))
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/** The hash is PostgreSQL's own: parts need to agree within a run only, and between runs to save work. */
const partPredicate = (value: string, { number, of }: Part): string =>
  `hashtextextended(${value}, 0) & ${of - 1} = ${number}`;

/** How many rows name a file, by tenant in order, those without any left out. Same tenants as `ownedPaths`. */
export async function countFiles(
  client: Client,
  bound: BoundMap,
  set: FileSetSetting,
  scope: string | null,
  tenants: readonly string[],
): Promise<Map<string, number>> {
  const table = tableNamed(bound, set.table);
  const where = scope === null ? 'true' : tenantPredicate(bound, table, 'r', '$2');
  const owner = reachSql(bound, table, 'tenant', 'r');
  const value = `r.${ident(set.column)}::text`;
  const { rows } = await transaction(client, READ_SNAPSHOT, () =>
    client.query<{ owner: string | null; files: number }>(
      `select ${owner.expression} as owner, count(*)::int8::float8 as files
         from ${qualified(table.schema, table.relname)} as r ${owner.joins}
        where ${where} and starts_with(${value}, $1) group by 1`,
      where === 'true' || where === 'false' ? [set.strip] : [set.strip, scope],
    ),
  );
  const known = new Set(tenants);
  const counts = new Map<string, number>();
  for (const { owner, files } of rows) {
    const tenant = owner !== null && known.has(owner) ? owner : SHARED;
    counts.set(tenant, (counts.get(tenant) ?? 0) + files);
  }
  return new Map([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Those of `paths` that rows of other tenants name as well. */
export async function pathsOfOthers(
  client: Client,
  bound: BoundMap,
  set: FileSetSetting,
  tenant: string,
  paths: readonly string[],
): Promise<Set<string>> {
  const table = tableNamed(bound, set.table);
  if (!table.tenant || paths.length === 0) return new Set();
  const owner = reachSql(bound, table, 'tenant', 'r');
  const value = `r.${ident(set.column)}::text`;
  const { rows } = await transaction(client, READ_SNAPSHOT, () =>
    client.query<{ value: string }>(
      `select distinct ${value} as value from ${qualified(table.schema, table.relname)} as r ${owner.joins}
        where ${value} = any($1) and ${owner.expression} is not null and ${owner.expression} is distinct from $2`,
      [paths.map((path) => set.strip + path), tenant === SHARED ? null : tenant],
    ),
  );
  return new Set(rows.map((row) => row.value.slice(set.strip.length)));
}

/** Every tenant there is, in order. */
export async function allTenants(client: Client, bound: BoundMap): Promise<string[]> {
  const { table, key } = bound.map.tenants;
  const { schema, relname } = tableNamed(bound, table);
  const { rows } = await client.query<{ tenant: string }>(
    `select ${ident(key)}::text as tenant from ${qualified(schema, relname)} order by 1`,
  );
  return rows.map((row) => row.tenant);
}
