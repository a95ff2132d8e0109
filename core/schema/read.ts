import { createHash } from 'node:crypto';
import { type Client, tableSql } from '../sql.ts';
import { COMMENTS, GRANTS, OWNERS, SETTINGS } from './read/access.ts';
import {
  FUNCTIONS,
  MATERIALIZED_VIEWS,
  POLICIES,
  REFRESHES,
  ROW_SECURITY,
  RULES,
  TRIGGERS,
  VIEWS,
} from './read/code.ts';
import { CHECKS, CLUSTERS, FOREIGN_KEYS, INDEX_PARTITIONS, INDEXES, KEYS, STATISTICS } from './read/constraints.ts';
import { dependents } from './read/dependents.ts';
import { OMITTED } from './read/omitted.ts';
import { DEFAULTS, PARTITIONS, REPLICA_IDENTITIES, SEQUENCE_OWNERS, SEQUENCES, TABLES } from './read/tables.ts';
import { COLLATIONS, COMPOSITES, DOMAINS, ENUMS, EXTENSIONS, RANGES, SCHEMAS } from './read/types.ts';
import {
  type CatalogRow,
  KINDS,
  NOT_STRUCTURE,
  SCHEMA_FORMAT,
  SCHEMA_VERSION,
  type SchemaObject,
  type SchemaRecord,
} from './types.ts';

const STRUCTURE = [
  ...[SCHEMAS, EXTENSIONS, COLLATIONS, ENUMS, DOMAINS, COMPOSITES, RANGES],
  ...[SEQUENCES, SEQUENCE_OWNERS, TABLES, PARTITIONS, DEFAULTS, REPLICA_IDENTITIES],
  ...[CHECKS, KEYS, INDEXES, INDEX_PARTITIONS, FOREIGN_KEYS, CLUSTERS, STATISTICS],
  ...[FUNCTIONS, VIEWS, MATERIALIZED_VIEWS, REFRESHES, RULES, TRIGGERS, ROW_SECURITY, POLICIES],
];

/**
 * Reads the DDL of a database out of its catalog: all that is not the server's, an extension's or Holdfast's own. It needs no
 * right but to connect. With `tables` (`schema.table`), only those with their partitions, and nothing that depends on
 * another table; what was left out is named in `omitted`.
 */
export async function readSchema(client: Client, options: { tables?: readonly string[] } = {}): Promise<SchemaRecord> {
  // The server qualifies a name only if the search path does not find it, so the path decides what the record says.
  const path = (await client.query<{ path: string }>("select current_setting('search_path') as path")).rows[0]!.path;
  await client.query("select set_config('search_path', 'pg_catalog', false)");
  try {
    return await read(client, options.tables);
  } finally {
    await client.query("select set_config('search_path', $1, false)", [path]).catch(() => {}); // the first error counts
  }
}

async function read(client: Client, tables: readonly string[] | undefined): Promise<SchemaRecord> {
  const found: CatalogRow[] = [];
  for (const sql of STRUCTURE) found.push(...(await client.query<CatalogRow>(sql)).rows);
  const gone = tables ? await dependents(client, await otherTables(client, tables)) : new Set<string>();
  const kept = found.filter((row) => !gone.has(`${row.classid} ${row.objid}`));
  const targets = [kept.map((row) => row.classid), kept.map((row) => row.objid)];
  for (const sql of [COMMENTS, GRANTS, OWNERS]) kept.push(...(await client.query<CatalogRow>(sql, targets)).rows);
  kept.push(...(await client.query<CatalogRow>(SETTINGS)).rows);

  const objects = kept.map(toObject).sort(byKindAndName);
  const omitted = found.filter((row) => !kept.includes(row)).map((row) => `${row.kind} ${row.name}`);
  omitted.push(...(await client.query<{ name: string }>(OMITTED)).rows.map((row) => row.name));
  const { rows } = await client.query<{ server: number; encoding: string; collate: string; ctype: string }>(
    `select current_setting('server_version_num')::int as server, pg_encoding_to_char(encoding) as encoding,
            datcollate as collate, datctype as ctype from pg_database where datname = current_database()`,
  );
  const { server, ...database } = rows[0]!;
  return deepFreeze({
    format: SCHEMA_FORMAT,
    version: SCHEMA_VERSION,
    server,
    database,
    fingerprint: fingerprint(objects),
    objects,
    omitted,
  });
}

/** OIDs of the tables outside the selection. A partition goes with its root. */
async function otherTables(client: Client, tables: readonly string[]): Promise<number[]> {
  const { rows } = await client.query<{ oid: number }>(
    `select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'holdfast')
        and coalesce(pg_partition_root(c.oid), c.oid) <> all ($1::text[]::regclass[]::oid[])`,
    [tables.map(tableSql)],
  );
  return rows.map((row) => row.oid);
}

function toObject(row: CatalogRow): SchemaObject {
  return {
    kind: row.kind,
    name: row.name,
    ...(row.tbl === null ? {} : { table: row.tbl }),
    sql: row.sql,
    ...(row.roles ? { roles: row.roles } : {}),
    ...(row.columns ? { columns: row.columns } : {}),
  };
}

function byKindAndName(a: SchemaObject, b: SchemaObject): number {
  const order = KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind);
  return order || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

/** SHA-256 of the structure, in an order that no locale changes. Rights and contents are no part of it. */
function fingerprint(objects: readonly SchemaObject[]): string {
  const hash = createHash('sha256');
  for (const { kind, name, sql } of objects) {
    if (!NOT_STRUCTURE.has(kind)) hash.update(`${JSON.stringify([kind, name, ...sql])}\n`);
  }
  return hash.digest('hex');
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const child of Object.values(value)) deepFreeze(child);
    Object.freeze(value);
  }
  return value;
}
