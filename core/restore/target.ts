/** What a restore must know of the tables it writes, beyond the data map: staging types, unique indexes, who points at whom. */
import type { BoundTable } from '../datamap/types.ts';
import { type Client, ident, qualified } from '../sql.ts';

export interface TargetColumn {
  readonly name: string;
  readonly attnum: number;
  /**
   * Type that values are staged in: the column's own, or what its domain is made of, because a domain that forbids null
   * could not hold the gaps of a partly known row.
   */
  readonly stageType: string;
  /** Schema of the type's `=`; only extension types have it elsewhere than in pg_catalog. */
  readonly equals: string;
  readonly identityAlways: boolean;
  readonly notNull: boolean;
}

/** A foreign key that points at a table, from wherever: protected or not. */
export interface IncomingKey {
  readonly name: string;
  readonly childOid: number;
  readonly child: string;
  readonly columns: readonly string[];
  readonly parentColumns: readonly string[];
  readonly onDelete: 'a' | 'r' | 'c' | 'n' | 'd';
  readonly onUpdate: 'a' | 'r' | 'c' | 'n' | 'd';
}

/** A unique or exclusion index that is checked row by row, and every column that it reads. */
export interface ImmediateIndex {
  readonly name: string;
  readonly columns: readonly string[];
}

export interface TargetTable {
  readonly bound: BoundTable;
  /** Quoted name. */
  readonly sql: string;
  /** Generated columns are left out: they follow from the others. */
  readonly columns: readonly TargetColumn[];
  readonly incoming: readonly IncomingKey[];
  readonly immediate: readonly ImmediateIndex[];
}

export const keyColumns = (target: TargetTable): readonly TargetColumn[] =>
  target.bound.key.map((name) => target.columns.find((c) => c.name === name)!);

/** `a.k1 = b.k1 and …`, with the operator that the key's own index uses. */
export function keyMatch(target: TargetTable, a: string, b: string): string {
  return keyColumns(target)
    .map((c) => `${a}.${ident(c.name)} operator(${ident(c.equals)}.=) ${b}.${ident(c.name)}`)
    .join(' and ');
}

/** Reads the facts of many tables in three queries. */
export async function readTargets(client: Client, tables: readonly BoundTable[]): Promise<TargetTable[]> {
  const oids = tables.map((t) => t.oid);
  const columns = await client.query<ColumnFact>(COLUMNS, [oids]);
  const incoming = await client.query<IncomingFact>(INCOMING, [oids]);
  const immediate = await client.query<IndexFact>(IMMEDIATE, [oids]);
  return tables.map((bound) => ({
    bound,
    sql: qualified(bound.schema, bound.relname),
    columns: columns.rows.filter((c) => c.table === bound.oid),
    incoming: incoming.rows
      .filter((k) => k.parent === bound.oid)
      .map((k) => ({ ...k, child: qualified(k.childSchema, k.childName) })),
    immediate: immediate.rows.filter((i) => i.table === bound.oid),
  }));
}

type ColumnFact = TargetColumn & { table: number };
type IncomingFact = Omit<IncomingKey, 'child'> & { parent: number; childSchema: string; childName: string };
type IndexFact = ImmediateIndex & { table: number };

const COLUMNS = `
with recursive base as (
  select a.attrelid, a.attnum, a.atttypid as typid, a.atttypmod as typmod
    from pg_attribute a
   where a.attrelid = any($1::oid[]) and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  union all
  select b.attrelid, b.attnum, t.typbasetype, t.typtypmod
    from base b join pg_type t on t.oid = b.typid
   where t.typtype = 'd')
select b.attrelid as "table", a.attname as name, a.attnum, format_type(b.typid, b.typmod) as "stageType",
       coalesce((select n.nspname from pg_operator o join pg_namespace n on n.oid = o.oprnamespace
                  where o.oprname = '=' and o.oprleft = b.typid and o.oprright = b.typid limit 1), 'pg_catalog') as equals,
       a.attidentity = 'a' as "identityAlways", a.attnotnull as "notNull"
  from base b
  join pg_type t on t.oid = b.typid and t.typtype <> 'd'
  join pg_attribute a on a.attrelid = b.attrelid and a.attnum = b.attnum
 order by b.attrelid, b.attnum`;

const INCOMING = `
select c.conname as name, c.confrelid as parent, c.conrelid as "childOid",
       n.nspname as "childSchema", r.relname as "childName", c.confdeltype as "onDelete", c.confupdtype as "onUpdate",
       (select array_agg(a.attname::text order by k.ord) from unnest(c.conkey) with ordinality k (num, ord)
          join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.num) as columns,
       (select array_agg(a.attname::text order by k.ord) from unnest(c.confkey) with ordinality k (num, ord)
          join pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.num) as "parentColumns"
  from pg_constraint c
  join pg_class r on r.oid = c.conrelid
  join pg_namespace n on n.oid = r.relnamespace
 where c.contype = 'f' and c.conparentid = 0 and c.confrelid = any($1::oid[])
 order by c.conname, r.oid`;

const IMMEDIATE = `
select i.indrelid as "table", r.relname as name,
       (select array_agg(distinct a.attname::text)
          from pg_attribute a
         where a.attrelid = i.indrelid and a.attnum > 0
           and (a.attnum = any(i.indkey)
                or exists (select from pg_depend d          -- columns of expressions and of the predicate
                            where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
                              and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid
                              and d.refobjsubid = a.attnum))) as columns
  from pg_index i
  join pg_class r on r.oid = i.indexrelid
 where i.indrelid = any($1::oid[]) and i.indimmediate and (i.indisunique or i.indisexclusion)
 order by r.relname`;
