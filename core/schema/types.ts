/** The schema record: everything that an empty database needs to hold the rows of a backup, as data. */

export const SCHEMA_FORMAT = 'holdfast-schema';
export const SCHEMA_VERSION = 1;

/** In the order in which they are made. `BEFORE_DATA` and the stages of `steps.ts` divide them. */
export const KINDS = [
  'schema',
  'extension',
  'collation',
  'enum',
  'domain',
  'composite type',
  'range type',
  'sequence',
  'function',
  'table',
  'partition',
  'sequence owner',
  'default',
  'check',
  'view',
  'materialized view',
  'key',
  'index',
  'partitioned key',
  'partitioned index',
  'index partition',
  'foreign key',
  'refresh',
  'late check',
  'statistics',
  'view default',
  'rule',
  'trigger',
  'row security',
  'policy',
  'replica identity',
  'cluster',
  'comment',
  'setting',
  'grant',
  'owner',
] as const;
export type SchemaKind = (typeof KINDS)[number];

/** Recorded, but no part of the structure: two databases may differ in these and hold the same schema. */
export const NOT_STRUCTURE: ReadonlySet<SchemaKind> = new Set<SchemaKind>(['refresh', 'setting', 'grant', 'owner']);

export interface SchemaObject {
  readonly kind: SchemaKind;
  /** Unique within its kind; fully qualified and quoted where it must be. */
  readonly name: string;
  /** The table (view, …) that it belongs to, as `schema.table`. */
  readonly table?: string;
  /** Statements that make it, run together or not at all. Names in them are qualified. */
  readonly sql: readonly string[];
  /** Roles that must exist for `sql` to make sense; without them it is skipped with a note. */
  readonly roles?: readonly string[];
  /** Tables only: column name -> its definition, for naming what differs. */
  readonly columns?: Readonly<Record<string, string>>;
}

/** Frozen, JSON-safe. */
export interface SchemaRecord {
  readonly format: typeof SCHEMA_FORMAT;
  readonly version: number;
  /** `server_version_num` of the server it was read from. */
  readonly server: number;
  readonly database: { readonly encoding: string; readonly collate: string; readonly ctype: string };
  /** SHA-256, hex, over the structure. Equal fingerprints of one server version mean equal schemas. */
  readonly fingerprint: string;
  readonly objects: readonly SchemaObject[];
  /** Objects of kinds that a record does not carry (operators, publications, …), and ones left out with their table. */
  readonly omitted: readonly string[];
}

/** What a reader query returns; see `read/`. */
export interface CatalogRow {
  readonly kind: SchemaKind;
  readonly name: string;
  readonly tbl: string | null;
  readonly sql: readonly string[];
  readonly roles?: readonly string[] | null;
  readonly columns?: Readonly<Record<string, string>> | null;
  /** Catalog and OID of the object that it stands or falls with. */
  readonly classid: number;
  readonly objid: number;
}
