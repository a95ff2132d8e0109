/** Reads the catalog of any PostgreSQL 14 to 18 with the rights of an ordinary role. */
import { type Client, joinTableName } from '../sql.ts';
import type { Catalog, CatalogColumn, CatalogForeignKey, CatalogTable, CatalogTrigger } from './catalog.ts';
import type { TableName } from './types.ts';

const POLICY_APPLIES = `(0 = any(p.polroles) or exists (
  select from unnest(p.polroles) r where pg_has_role(r, 'USAGE')))`;

/** Relations outside system schemas, ours, other sessions' temporary ones, and extensions' own. */
const RELATIONS = `
  select c.oid::int8::text as oid, n.nspname::text as schema, c.relname::text, c.relkind::text as kind,
         c.relpersistence::text as persistence, c.relispartition as is_partition, pg_partition_root(c.oid)::oid::int8::text as root,
         c.relrowsecurity as row_security, c.relforcerowsecurity as force_row_security,
         row_security_active(c.oid) and (
           not exists (select from pg_policy p where p.polrelid = c.oid and p.polpermissive and p.polcmd = '*'
                          and pg_get_expr(p.polqual, p.polrelid) = 'true' and ${POLICY_APPLIES})
           or exists (select from pg_policy p where p.polrelid = c.oid and not p.polpermissive and ${POLICY_APPLIES})
         ) as rows_hidden,
         c.reltuples::float8 as tuples, pg_has_role(c.relowner, 'USAGE') as owned,
         has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT') as readable,
         (select i.inhparent::int8::text from pg_inherits i where i.inhrelid = c.oid and not c.relispartition
           order by i.inhseqno limit 1) as inherits
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'f') and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'holdfast')
     and not exists (select from pg_depend d
                      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
   order by n.nspname collate "C", c.relname collate "C"`;

const COLUMNS = `
  select a.attrelid::int8::text as oid, a.attnum::int, a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type,
         a.attnotnull as not_null, pg_get_expr(d.adbin, d.adrelid) as expression,
         a.attidentity::text as identity, a.attgenerated::text as generated,
         format_type(base.oid, -1) as base_type, base.typtype::text as type_kind,
         coalesce(l.collisdeterministic, true) as deterministic,
         (select format('operator(%I.%s)', n.nspname, o.oprname)
            from pg_opclass c
            join pg_amop m on m.amopfamily = c.opcfamily and m.amopstrategy = 3
                          and m.amoplefttype = c.opcintype and m.amoprighttype = c.opcintype
            join pg_operator o on o.oid = m.amopopr join pg_namespace n on n.oid = o.oprnamespace
           where c.opcmethod = 403 and c.opcdefault and c.opcintype = base.oid and n.nspname <> 'pg_catalog') as equals
    from pg_attribute a
    cross join lateral (
      with recursive chain as (
        select t.oid, t.typtype, t.typbasetype from pg_type t where t.oid = a.atttypid
        union all
        select t.oid, t.typtype, t.typbasetype from chain join pg_type t on t.oid = chain.typbasetype where chain.typtype = 'd')
      select chain.oid, chain.typtype from chain where chain.typtype <> 'd') base
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    left join pg_collation l on l.oid = a.attcollation
   where a.attrelid = any($1::oid[]) and a.attnum > 0 and not a.attisdropped
   order by a.attrelid, a.attnum`;

const INDEXES = `
  select i.indrelid::int8::text as oid, i.indisprimary as is_primary, i.indisunique and i.indimmediate as is_unique,
         (select coalesce(array_agg(a.attname::text order by k.ord), '{}')
            from unnest(i.indkey::int2[]) with ordinality k(attnum, ord)
            join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
           where k.ord <= i.indnkeyatts and k.ord < coalesce(
             (select min(e.ord) from unnest(i.indkey::int2[]) with ordinality e(attnum, ord) where e.attnum = 0), 1000)) as columns,
         i.indexprs is null as plain
    from pg_index i
   where i.indrelid = any($1::oid[]) and i.indisvalid and i.indisready and i.indpred is null
   order by i.indrelid, i.indisprimary desc, i.indnkeyatts, i.indexrelid`;

/** A clone of a key on a partition, or of a key that points to one, has a parent constraint; the declared one has none. */
const FOREIGN_KEYS = `
  select f.conrelid::int8::text as oid, f.conname::text as name, f.condeferrable as deferrable, f.confdeltype::text as on_delete,
         n.nspname::text as parent_schema, p.relname::text as parent_relname,
         (select array_agg(a.attname::text order by k.ord) from unnest(f.conkey) with ordinality k(attnum, ord)
            join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.attnum) as columns,
         (select array_agg(a.attname::text order by k.ord) from unnest(f.confkey) with ordinality k(attnum, ord)
            join pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.attnum) as parent_columns,
         coalesce((to_jsonb(f) ->> 'conenforced')::bool, true) as enforced
    from pg_constraint f
    join pg_class p on p.oid = coalesce(pg_partition_root(f.confrelid)::oid, f.confrelid)
    join pg_namespace n on n.oid = p.relnamespace
   where f.contype = 'f' and f.conparentid = 0 and f.conrelid = any($1::oid[])
     and not coalesce((to_jsonb(f) ->> 'conperiod')::bool, false)
   order by f.conrelid, f.conname collate "C"`;

const TRIGGERS = `
  select coalesce(pg_partition_root(t.tgrelid)::oid, t.tgrelid)::int8::text as oid, t.tgname::text as name,
         t.tgenabled::text as enabled, t.tgtype::int & 28 <> 0 as on_rows, t.tgconstraint <> 0 as is_constraint, p.oid::regprocedure::text as function
    from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_namespace n on n.oid = p.pronamespace
   where not t.tgisinternal and t.tgparentid = 0 and n.nspname <> 'holdfast' and t.tgrelid = any($1::oid[])
   order by 1, t.tgname collate "C"`;

interface Relation {
  oid: string;
  schema: string;
  relname: string;
  kind: 'r' | 'p' | 'f';
  persistence: string;
  is_partition: boolean;
  root: string | null;
  row_security: boolean;
  force_row_security: boolean;
  rows_hidden: boolean;
  tuples: number;
  owned: boolean;
  readable: boolean;
  inherits: string | null;
}
type Of<T> = T & { oid: string };

const IDENTITY: Record<string, CatalogColumn['identity']> = { a: 'always', d: 'by default' };
const GENERATED: Record<string, CatalogColumn['generated']> = { s: 'stored', v: 'virtual' };
const KIND = { r: 'ordinary', p: 'partitioned', f: 'foreign' } as const;
const ON_DELETE: Record<string, CatalogForeignKey['onDelete']> = {
  a: 'no action',
  r: 'restrict',
  c: 'cascade',
  n: 'set null',
  d: 'set default',
};

/** Reads the catalog. Needs no right beyond connecting; what the role may not read is marked `readable: false`. */
export async function introspect(client: Client): Promise<Catalog> {
  const version = await client.query<{ v: number }>("select current_setting('server_version_num')::int as v");
  const relations = (await client.query<Relation>(RELATIONS)).rows;
  const nameOf = new Map(relations.map((r) => [r.oid, joinTableName(r.schema, r.relname)]));
  const roots = relations.filter((r) => r.kind !== 'f' && !r.is_partition);
  const rootIds = roots.map((r) => r.oid);
  const leavesOf = groupBy(
    relations.filter((r) => r.is_partition),
    (r) => r.root ?? r.oid,
  );

  const columns = groupBy((await client.query<Of<ColumnRow>>(COLUMNS, [rootIds])).rows, (r) => r.oid);
  const indexes = groupBy((await client.query<Of<IndexRow>>(INDEXES, [rootIds])).rows, (r) => r.oid);
  const foreignKeys = groupBy((await client.query<Of<ForeignKeyRow>>(FOREIGN_KEYS, [rootIds])).rows, (r) => r.oid);
  const everyId = relations.map((r) => r.oid);
  const triggers = groupBy((await client.query<Of<TriggerRow>>(TRIGGERS, [everyId])).rows, (r) => r.oid);

  const tables = roots.map((r): CatalogTable => {
    const leaves = leavesOf.get(r.oid) ?? [];
    const cols = (columns.get(r.oid) ?? []).map(column);
    const idx = indexes.get(r.oid) ?? [];
    const inherits = r.inherits === null ? undefined : nameOf.get(r.inherits);
    return {
      name: joinTableName(r.schema, r.relname),
      schema: r.schema,
      relname: r.relname,
      oid: Number(r.oid),
      partitioned: r.kind === 'p',
      partitions: leaves.map((l) => ({
        name: joinTableName(l.schema, l.relname),
        oid: Number(l.oid),
        kind: KIND[l.kind],
      })),
      unlogged: r.persistence === 'u',
      ...(inherits === undefined ? {} : { inherits }),
      columns: cols,
      key: keyOf(cols, idx),
      uniqueKeys: idx.filter((i) => i.is_unique && i.plain).map((i) => i.columns),
      indexes: idx.map((i) => i.columns).filter((names) => names.length > 0),
      foreignKeys: (foreignKeys.get(r.oid) ?? []).map(foreignKey),
      triggers: (triggers.get(r.oid) ?? []).map(trigger),
      rowSecurity: r.row_security,
      forceRowSecurity: r.force_row_security,
      rowsHidden: r.rows_hidden,
      estimatedRows: estimate(r, leaves),
      owned: r.owned,
      readable: r.readable,
    };
  });
  return { serverVersion: version.rows[0]!.v, tables, unsupported: unsupported(relations, nameOf) };
}

interface ColumnRow {
  attnum: number;
  name: string;
  type: string;
  not_null: boolean;
  expression: string | null;
  identity: string;
  generated: string;
  base_type: string;
  type_kind: string;
  deterministic: boolean;
  equals: string | null;
}

const column = (row: ColumnRow): CatalogColumn => ({
  attnum: row.attnum,
  name: row.name,
  type: row.type,
  notNull: row.not_null,
  ...(row.expression === null ? {} : { default: row.expression }),
  identity: IDENTITY[row.identity] ?? '',
  generated: GENERATED[row.generated] ?? '',
  ...(row.equals === null ? {} : { equals: row.equals }),
  baseType: row.base_type,
  typeKind: row.type_kind,
  deterministic: row.deterministic,
});

interface IndexRow {
  is_primary: boolean;
  is_unique: boolean;
  columns: string[];
  plain: boolean;
}

/** Deferrable keys do not count: two rows may share one inside a transaction, and the trail could not tell them apart. */
function keyOf(columns: readonly CatalogColumn[], indexes: readonly IndexRow[]): readonly string[] {
  const required = new Set(columns.filter((c) => c.notNull).map((c) => c.name));
  const key =
    indexes.find((i) => i.is_primary && i.is_unique) ??
    indexes.find((i) => i.is_unique && i.plain && i.columns.every((name) => required.has(name)));
  return key?.columns ?? [];
}

interface ForeignKeyRow {
  name: string;
  deferrable: boolean;
  on_delete: string;
  parent_schema: string;
  parent_relname: string;
  columns: string[];
  parent_columns: string[];
  enforced: boolean;
}

const foreignKey = (row: ForeignKeyRow): CatalogForeignKey => ({
  name: row.name,
  columns: row.columns,
  parent: joinTableName(row.parent_schema, row.parent_relname),
  parentColumns: row.parent_columns,
  deferrable: row.deferrable,
  onDelete: ON_DELETE[row.on_delete] ?? 'no action',
  enforced: row.enforced,
});

interface TriggerRow {
  name: string;
  enabled: string;
  is_constraint: boolean;
  on_rows: boolean;
  function: string;
}

const trigger = (row: TriggerRow): CatalogTrigger => ({
  name: row.name,
  function: row.function,
  enabled: row.enabled,
  constraint: row.is_constraint,
  onRows: row.on_rows,
});

function estimate(root: Relation, leaves: readonly Relation[]): number {
  const counted = [root, ...leaves].filter((r) => r.kind === 'r' && r.tuples >= 0);
  return counted.length === 0 ? -1 : counted.reduce((sum, r) => sum + r.tuples, 0);
}

function unsupported(relations: readonly Relation[], nameOf: Map<string, TableName>): Catalog['unsupported'] {
  return relations
    .filter((r) => r.kind === 'f')
    .map((r) => ({
      name: joinTableName(r.schema, r.relname),
      reason: r.is_partition
        ? `a foreign table, partition of ${nameOf.get(r.root ?? '')}: its rows live in another database`
        : 'a foreign table: its rows live in another database, which has to be protected itself',
    }));
}

function groupBy<T>(rows: readonly T[], by: (row: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const group = groups.get(by(row));
    if (group) group.push(row);
    else groups.set(by(row), [row]);
  }
  return groups;
}
