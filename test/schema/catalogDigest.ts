/** An oracle for schemas: information_schema and psql's kind of catalog queries, with nothing from core/schema. */
import type pg from 'pg';

const USER = "not in ('pg_catalog', 'information_schema', 'pg_toast')";

const QUERIES: Readonly<Record<string, string>> = {
  columns: `select table_schema, table_name, column_name, is_nullable, data_type, udt_schema, udt_name, collation_name, column_default,
      is_identity, identity_generation, identity_start, identity_increment, identity_minimum, is_generated, generation_expression,
      character_maximum_length, numeric_precision, numeric_scale, datetime_precision, domain_name
    from information_schema.columns where table_schema ${USER} order by 1, 2, 3`,
  constraints: `select table_schema, table_name, constraint_name, constraint_type, is_deferrable, initially_deferred, enforced
    from information_schema.table_constraints where table_schema ${USER} and constraint_name !~ '_not_null$' order by 1, 2, 3`,
  checks: `select constraint_schema, constraint_name, check_clause from information_schema.check_constraints
    where constraint_schema ${USER} and check_clause !~ 'IS NOT NULL$' order by 1, 2, 3`,
  references: `select constraint_schema, constraint_name, unique_constraint_name, match_option, update_rule, delete_rule
    from information_schema.referential_constraints order by 1, 2, 3`,
  indexes: `select schemaname, tablename, indexname, indexdef from pg_indexes where schemaname ${USER} order by 1, 2, 3`,
  inheritance: `select inhparent::regclass::text as parent, inhrelid::regclass::text as child from pg_inherits order by 1, 2`,
  views: `select schemaname, viewname, definition from pg_views where schemaname ${USER} order by 1, 2`,
  matviews: `select schemaname, matviewname, ispopulated, definition from pg_matviews where schemaname ${USER} order by 1, 2`,
  triggers: `select tgrelid::regclass::text as relation, tgname, tgenabled, tgtype, tgargs, tgdeferrable, tgfoid::regprocedure::text as call
    from pg_trigger where not tgisinternal order by 1, 2`,
  policies: `select * from pg_policies order by 1, 2, 3`,
  rules: `select schemaname, tablename, rulename, definition from pg_rules where schemaname ${USER} order by 1, 2, 3`,
  sequences: `select schemaname, sequencename, data_type::text, start_value, min_value, max_value, increment_by, cycle, cache_size
    from pg_sequences where schemaname ${USER} order by 1, 2`,
  enums: `select t.typname, e.enumlabel from pg_enum e join pg_type t on t.oid = e.enumtypid order by t.typnamespace::regnamespace::text, 1, e.enumsortorder`,
  routines: `select routine_schema, routine_name, routine_type, data_type, type_udt_name, routine_definition, is_deterministic
    from information_schema.routines where routine_schema ${USER} order by 1, 2, 6`,
  ranges: `select rngtypid::regtype::text, rngsubtype::regtype::text, rngmultitypid::regtype::text, rngsubdiff::text <> '-' as diff
    from pg_range where rngtypid >= 16384 order by 1`,
  relations: `select c.oid::regclass::text as name, c.relkind, c.relpersistence, c.reloptions, c.relrowsecurity, c.relforcerowsecurity,
      c.relreplident, c.relacl::text, pg_get_partkeydef(c.oid) as key, pg_get_expr(c.relpartbound, c.oid) as bound
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname ${USER} and c.relkind <> 'i' order by 1`,
  comments: `select c.description, c.objsubid from pg_description c where c.objoid >= 16384 order by 1, 2`,
  statistics: `select stxname, stxkeys::text, stxkind from pg_statistic_ext order by 1`,
};

/** Rows of each query, as JSON text. */
export async function catalogDigest(client: pg.Client): Promise<Record<string, unknown>> {
  const result: Record<string, unknown> = {};
  await client.query('set search_path = pg_catalog');
  for (const [name, sql] of Object.entries(QUERIES)) result[name] = (await client.query(sql)).rows;
  return JSON.parse(JSON.stringify(result));
}
