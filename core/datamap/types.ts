/**
 * The data map: what to protect and how each row belongs to a tenant and to a person. It is read from `holdfast.yaml`
 * (`load.ts`), proposed from the catalog (`propose.ts`), and bound to a live database (`bind.ts`), which adds what only the
 * catalog knows: keys, types, foreign keys. Everything downstream works on the bound form.
 */

/** `schema.table`, unquoted, as written in holdfast.yaml. Names with dots or upper case are written with double quotes. */
export type TableName = string;

/** none: no information about anyone. internal: the business's own. personal / sensitive: about a person (GDPR art. 4 / 9). */
export type ColumnClass = 'none' | 'internal' | 'personal' | 'sensitive';

/** How a row's tenant (or person) is reached. */
export type Reach =
  /** The value stands in a column of the row itself. */
  | { readonly kind: 'column'; readonly column: string }
  /** As that of the row that these foreign-key columns point to; paths of several hops are chains of `via`. */
  | {
      readonly kind: 'via';
      readonly columns: readonly string[];
      readonly parent: TableName;
      readonly parentColumns: readonly string[];
    };

export interface ColumnRule {
  readonly class: ColumnClass;
  /** Sealed under the owning person's key in backups; default: class is personal or sensitive. */
  readonly sealed: boolean;
  /** How long a value may be kept, ISO 8601 duration (`P7Y`); undefined: as long as the row. */
  readonly retention?: string;
  /** Every write stamps it (`updated_at`, a row version): no edit of anybody's, and so no conflict for an undo. */
  readonly stamped?: true;
}

export interface TableRule {
  readonly name: TableName;
  /** undefined: a shared table, which belongs to no tenant. */
  readonly tenant?: Reach;
  /** undefined: rows of this table belong to no person. */
  readonly person?: Reach;
  readonly columns: Readonly<Record<string, ColumnRule>>;
  /** What an erasure does with the person's rows. @default 'delete' */
  readonly erase: 'delete' | 'anonymise';
}

export interface DataMap {
  /** The table that has one row per tenant and its key column. */
  readonly tenants: { readonly table: TableName; readonly key: string };
  /** The table that has one row per person and its key column; undefined when no person is modelled. */
  readonly persons?: { readonly table: TableName; readonly key: string };
  readonly tables: readonly TableRule[];
  /** Tables left unprotected on purpose. */
  readonly excluded: readonly TableName[];
}

/** One column as the catalog has it. */
export interface BoundColumn {
  readonly attnum: number;
  readonly name: string;
  /** `format_type` output, e.g. `character varying(80)`, `public.mood[]`. */
  readonly type: string;
  readonly notNull: boolean;
  /** `pg_get_expr` of the default; undefined when there is none. */
  readonly default?: string;
  readonly identity: '' | 'always' | 'by default';
  /** Generated columns are read but never written. */
  readonly generated: '' | 'stored' | 'virtual';
  /**
   * The equality operator of its type where that lives outside pg_catalog: `operator(public.=)` for citext. Under the pinned
   * search_path a plain `=` would not find it, or would compare as another type.
   */
  readonly equals?: string;
  readonly rule: ColumnRule;
}

export interface BoundForeignKey {
  readonly name: string;
  readonly columns: readonly string[];
  readonly parent: TableName;
  readonly parentColumns: readonly string[];
  readonly deferrable: boolean;
  readonly onDelete: 'no action' | 'restrict' | 'cascade' | 'set null' | 'set default';
}

export interface BoundTable {
  /** Holdfast's own stable id (`holdfast.tables.id`), 0 before `install`. */
  readonly id: number;
  readonly name: TableName;
  readonly schema: string;
  readonly relname: string;
  readonly oid: number;
  /** Root of a partition tree; leaves are not listed on their own. */
  readonly partitioned: boolean;
  readonly columns: readonly BoundColumn[];
  /** Primary key, else the first NOT NULL unique index; empty when the table has none. */
  readonly key: readonly string[];
  readonly foreignKeys: readonly BoundForeignKey[];
  readonly tenant?: Reach;
  readonly person?: Reach;
  readonly erase: 'delete' | 'anonymise';
  /** User triggers that fire on row changes (not Holdfast's, not internal). */
  readonly userTriggers: readonly string[];
  readonly rowSecurity: boolean;
}

export interface BoundMap {
  readonly map: DataMap;
  readonly tables: readonly BoundTable[];
}
