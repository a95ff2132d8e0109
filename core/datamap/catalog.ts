/** What `introspect` reads: the parts of a database's catalog that protection depends on, as plain data. */
import type { BoundColumn, BoundForeignKey, TableName } from './types.ts';

export interface Catalog {
  /** `server_version_num`, e.g. 180001. */
  readonly serverVersion: number;
  /** Ordinary and partitioned tables in name order. Partitions are folded into their root. */
  readonly tables: readonly CatalogTable[];
  /** What holds data but cannot carry a row trigger that sees all of its changes, and so is not protected. */
  readonly unsupported: readonly { readonly name: TableName; readonly reason: string }[];
}

export interface CatalogTable {
  readonly name: TableName;
  readonly schema: string;
  readonly relname: string;
  readonly oid: number;
  readonly partitioned: boolean;
  /** Descendants of a partitioned table, at every level, in name order. */
  readonly partitions: readonly CatalogPartition[];
  readonly unlogged: boolean;
  /** Parent in plain table inheritance; queries of the parent then also return this table's rows. */
  readonly inherits?: TableName;
  readonly columns: readonly CatalogColumn[];
  /** Primary key, else the first NOT NULL unique index (fewest columns, then oldest); empty when there is none. */
  readonly key: readonly string[];
  /** Column sets that a valid, immediate, whole-table unique index covers. */
  readonly uniqueKeys: readonly (readonly string[])[];
  /** Leading columns of every valid whole-table index; an expression ends the list. */
  readonly indexes: readonly (readonly string[])[];
  /** Declared on the table itself (for a partition tree: on its root); parents that are partitions are named by their root. */
  readonly foreignKeys: readonly CatalogForeignKey[];
  readonly triggers: readonly CatalogTrigger[];
  readonly rowSecurity: boolean;
  readonly forceRowSecurity: boolean;
  /** Whether row-level security may keep rows from the connected role: a backup made by it would lack them. */
  readonly rowsHidden: boolean;
  /** The planner's estimate, partitions included; -1 when the table was never analysed. */
  readonly estimatedRows: number;
  /** Whether the connected role owns it (may create triggers on it). */
  readonly owned: boolean;
  /** Whether the connected role may read it. */
  readonly readable: boolean;
}

export interface CatalogPartition {
  readonly name: TableName;
  readonly oid: number;
  /** ordinary: holds rows. partitioned: a level in between. foreign: its rows live in another database. */
  readonly kind: 'ordinary' | 'partitioned' | 'foreign';
}

export interface CatalogColumn extends Omit<BoundColumn, 'rule'> {
  /** Underneath domains, without length: `character varying`, `uuid`, `public.mood`. */
  readonly baseType: string;
  /** pg_type.typtype of the base type: b base, e enum, c composite, r range, m multirange. */
  readonly typeKind: string;
  /** False when its collation calls different byte strings equal. */
  readonly deterministic: boolean;
}

export interface CatalogForeignKey extends BoundForeignKey {
  /** False for a constraint declared NOT ENFORCED (PostgreSQL 18). */
  readonly enforced: boolean;
}

/** A trigger that someone else created (not Holdfast's, not an internal one). */
export interface CatalogTrigger {
  readonly name: string;
  readonly function: string;
  /** O origin, A always, R replica only, D disabled. */
  readonly enabled: string;
  /** A constraint trigger: it cannot rest during a restore. */
  readonly constraint: boolean;
  /** Whether INSERT, UPDATE or DELETE fires it. */
  readonly onRows: boolean;
}
