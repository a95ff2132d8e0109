/** Which relations a query reads, asked of PostgreSQL's own parser: the query is made a view, and the view is looked at. */
import { type Client, joinTableName, transaction } from '../../sql.ts';

export interface Needs {
  /** Tables by their data-map name; a partition counts as its root. */
  readonly tables: readonly string[];
  /** Materialized views, inner ones first. */
  readonly materialized: readonly string[];
  /** Views and materialized views, as SQL. */
  readonly views: readonly string[];
  /** It calls functions of the application, which may read anything. */
  readonly everything: boolean;
}

/** Statement text of this length stands before the query, so that positions in errors can be told. */
export const VIEW_HEAD = 'create temporary view "_hf_needs" as select 1 as "_hf" from (\n';

/** Functions that run a query given as text, which no parser sees. */
const HIDDEN = /\b(query_to_xml|cursor_to_xml|schema_to_xml|database_to_xml|ts_stat|ts_rewrite|crosstab|connectby)/i;

/** @throws what PostgreSQL says of a query that is wrong */
export async function readNeeds(client: Client, sql: string): Promise<Needs> {
  const rollback = new Error('read');
  let needs: Needs | undefined;
  await transaction(client, '', async () => {
    await client.query({ text: `${VIEW_HEAD}${sql}\n) "_hf_query"`, queryMode: 'extended' } as never);
    const { rows } = await client.query<{ kind: string; schema: string; name: string; sql: string; depth: number }>(
      RELATIONS,
    );
    const { rows: functions } = await client.query<{ n: number }>(FUNCTIONS);
    const tables = rows.filter((r) => 'rpf'.includes(r.kind)).map((r) => joinTableName(r.schema, r.name));
    needs = {
      tables: [...new Set(tables)],
      materialized: rows.filter((r) => r.kind === 'm').map((r) => r.sql),
      views: rows.filter((r) => r.kind === 'v' || r.kind === 'm').map((r) => r.sql),
      everything: functions[0]!.n > 0 || HIDDEN.test(sql),
    };
    throw rollback;
  }).catch((error) => {
    if (error !== rollback) throw error;
  });
  return needs!;
}

const REACHED = `
with recursive reached (oid, depth) as (
  select 'pg_temp."_hf_needs"'::regclass::oid, 0
  union
  select d.refobjid, r.depth + 1 from reached r
    join pg_rewrite w on w.ev_class = r.oid
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
   where d.refclassid = 'pg_class'::regclass and d.refobjid <> r.oid and r.depth < 100)`;

const RELATIONS = `${REACHED}
select c.relkind::text as kind, n.nspname::text as schema, c.relname::text as name, c.oid::regclass::text as sql, max(r.depth) as depth
  from reached r
  join pg_class c on c.oid = coalesce(pg_partition_root(r.oid)::oid, r.oid)
  join pg_namespace n on n.oid = c.relnamespace
 where r.depth > 0 and n.nspname not in ('pg_catalog', 'information_schema')
   and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')
 group by 1, 2, 3, 4 order by 5 desc, 4`;

const FUNCTIONS = `${REACHED}
select count(*)::int as n
  from reached r join pg_rewrite w on w.ev_class = r.oid
  join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
  left join pg_operator o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid
  join pg_proc p on p.oid = case d.refclassid when 'pg_proc'::regclass then d.refobjid else o.oprcode::oid end
  join pg_namespace n on n.oid = p.pronamespace
 where n.nspname <> 'pg_catalog'
   and not exists (select from pg_depend e where e.classid = 'pg_proc'::regclass and e.objid = p.oid and e.deptype = 'e')`;
