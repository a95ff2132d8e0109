/** Schemas, extensions, collations, types. Each query gives rows of `CatalogRow`. */
import { notFromExtension, userSchema } from './conditions.ts';

export const SCHEMAS = `
  select 'schema' as kind, quote_ident(n.nspname) as name, null as tbl,
         array[format('create schema if not exists %I', n.nspname)] as sql,
         'pg_namespace'::regclass::oid as classid, n.oid as objid
    from pg_namespace n
   where ${userSchema('n')} and ${notFromExtension('pg_namespace', 'n.oid')}`;

export const EXTENSIONS = `
  select 'extension' as kind, quote_ident(e.extname) as name, null as tbl,
         array[format('create extension if not exists %I', e.extname) ||
           case when ${notFromExtension('pg_namespace', 'n.oid')} then format(' with schema %I', n.nspname) else '' end] as sql,
         'pg_extension'::regclass::oid as classid, e.oid as objid
    from pg_extension e join pg_namespace n on n.oid = e.extnamespace
   where e.extname <> 'plpgsql'`;

// The column that holds an ICU locale changed its name twice.
export const COLLATIONS = `
  select 'collation' as kind, format('%I.%I', n.nspname, c.collname) as name, null as tbl,
         array[format('create collation %I.%I (provider = %s, deterministic = %s, ', n.nspname, c.collname,
             case c.collprovider when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end, c.collisdeterministic::text) ||
           case when c.collprovider = 'c' then format('lc_collate = %L, lc_ctype = %L', c.collcollate, c.collctype)
                else format('locale = %L', coalesce(to_jsonb(c)->>'colllocale', to_jsonb(c)->>'colliculocale', c.collcollate)) end ||
           coalesce(', rules = ' || quote_literal(to_jsonb(c)->>'collicurules'), '') || ')'] as sql,
         'pg_collation'::regclass::oid as classid, c.oid as objid
    from pg_collation c join pg_namespace n on n.oid = c.collnamespace
   where ${userSchema('n')} and ${notFromExtension('pg_collation', 'c.oid')}`;

export const ENUMS = `
  select 'enum' as kind, format('%I.%I', n.nspname, t.typname) as name, null as tbl,
         array[format('create type %I.%I as enum (%s)', n.nspname, t.typname,
           (select coalesce(string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder), '')
              from pg_enum e where e.enumtypid = t.oid))] as sql,
         'pg_type'::regclass::oid as classid, t.oid as objid
    from pg_type t join pg_namespace n on n.oid = t.typnamespace
   where t.typtype = 'e' and ${userSchema('n')} and ${notFromExtension('pg_type', 't.oid')}`;

export const DOMAINS = `
  select 'domain' as kind, format('%I.%I', n.nspname, t.typname) as name, null as tbl,
         array[format('create domain %I.%I as %s', n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod)) ||
           case when t.typcollation <> b.typcollation
                then (select format(' collate %I.%I', cn.nspname, co.collname)
                        from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace where co.oid = t.typcollation)
                else '' end ||
           coalesce(' default ' || pg_get_expr(t.typdefaultbin, 0), '') ||
           case when t.typnotnull then ' not null' else '' end] ||
         coalesce((select array_agg(format('alter domain %I.%I add constraint %I %s', n.nspname, t.typname, k.conname,
                            pg_get_constraintdef(k.oid)) order by k.conname)
                     from pg_constraint k where k.contypid = t.oid and k.contype = 'c'), '{}') as sql,
         'pg_type'::regclass::oid as classid, t.oid as objid
    from pg_type t join pg_namespace n on n.oid = t.typnamespace join pg_type b on b.oid = t.typbasetype
   where t.typtype = 'd' and ${userSchema('n')} and ${notFromExtension('pg_type', 't.oid')}`;

export const COMPOSITES = `
  select 'composite type' as kind, format('%I.%I', n.nspname, c.relname) as name, null as tbl,
         array[format('create type %I.%I as (%s)', n.nspname, c.relname,
           (select coalesce(string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)) ||
                     case when a.attcollation <> at.typcollation
                          then (select format(' collate %I.%I', cn.nspname, co.collname) from pg_collation co
                                  join pg_namespace cn on cn.oid = co.collnamespace where co.oid = a.attcollation)
                          else '' end, ', ' order by a.attnum), '')
              from pg_attribute a join pg_type at on at.oid = a.atttypid
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped))] as sql,
         'pg_type'::regclass::oid as classid, c.reltype as objid
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind = 'c' and ${userSchema('n')} and ${notFromExtension('pg_type', 'c.reltype')}`;

export const RANGES = `
  select 'range type' as kind, format('%I.%I', n.nspname, t.typname) as name, null as tbl,
         array[format('create type %I.%I as range (subtype = %s, subtype_opclass = %I.%I, multirange_type_name = %I.%I',
             n.nspname, t.typname, format_type(r.rngsubtype, null), opn.nspname, op.opcname, mn.nspname, m.typname) ||
           case when r.rngcollation <> 0
                then (select format(', collation = %I.%I', cn.nspname, co.collname) from pg_collation co
                        join pg_namespace cn on cn.oid = co.collnamespace where co.oid = r.rngcollation)
                else '' end ||
           case when r.rngsubdiff <> 0
                then (select format(', subtype_diff = %I.%I', fn.nspname, f.proname)
                        from pg_proc f join pg_namespace fn on fn.oid = f.pronamespace where f.oid = r.rngsubdiff)
                else '' end || ')'] as sql,
         'pg_type'::regclass::oid as classid, t.oid as objid
    from pg_range r join pg_type t on t.oid = r.rngtypid join pg_namespace n on n.oid = t.typnamespace
    join pg_opclass op on op.oid = r.rngsubopc join pg_namespace opn on opn.oid = op.opcnamespace
    join pg_type m on m.oid = r.rngmultitypid join pg_namespace mn on mn.oid = m.typnamespace
   where ${userSchema('n')} and ${notFromExtension('pg_type', 't.oid')}`;
