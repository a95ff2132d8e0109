/** Routines, views, rules, triggers, policies. */
import { notFromExtension, OWN_CLASS, userSchema } from './conditions.ts';

const AGGREGATE = `
  (select format('create aggregate %I.%I(%s) (sfunc = %s, stype = %s', n.nspname, p.proname,
            pg_get_function_arguments(p.oid), g.aggtransfn::regproc, format_type(g.aggtranstype, null)) ||
          case when g.aggfinalfn <> 0 then ', finalfunc = ' || g.aggfinalfn::regproc else '' end ||
          case when g.aggfinalextra then ', finalfunc_extra' else '' end ||
          case when g.aggcombinefn <> 0 then ', combinefunc = ' || g.aggcombinefn::regproc else '' end ||
          case when g.aggserialfn <> 0 then ', serialfunc = ' || g.aggserialfn::regproc else '' end ||
          case when g.aggdeserialfn <> 0 then ', deserialfunc = ' || g.aggdeserialfn::regproc else '' end ||
          coalesce(', initcond = ' || quote_literal(g.agginitval), '') ||
          case when g.aggsortop <> 0 then ', sortop = operator(' || g.aggsortop::regoperator::text || ')' else '' end ||
          case when g.aggkind = 'h' then ', hypothetical' else '' end ||
          format(', parallel = %s)', case p.proparallel when 's' then 'safe' when 'r' then 'restricted' else 'unsafe' end)
     from pg_aggregate g where g.aggfnoid = p.oid)`;

// A range type makes its own constructors; they depend on it internally.
export const FUNCTIONS = `
  select 'function' as kind, format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)) as name, null as tbl,
         array[case when p.prokind = 'a' then ${AGGREGATE} else pg_get_functiondef(p.oid) end] as sql,
         'pg_proc'::regclass::oid as classid, p.oid as objid
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
   where ${userSchema('n')} and ${notFromExtension('pg_proc', 'p.oid')}
     and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'i')`;

export const VIEWS = `
  select 'view' as kind, format('%I.%I', n.nspname, c.relname) as name, format('%I.%I', n.nspname, c.relname) as tbl,
         array[format('create view %I.%I', n.nspname, c.relname) ||
           coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', '') || ' as ' || pg_get_viewdef(c.oid)] as sql,
         'pg_class'::regclass::oid as classid, c.oid as objid
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind = 'v' and ${OWN_CLASS}`;

/** Made empty; REFRESHES fills those that were filled. */
export const MATERIALIZED_VIEWS = `
  select 'materialized view' as kind, format('%I.%I', n.nspname, c.relname) as name, format('%I.%I', n.nspname, c.relname) as tbl,
         array[format('create materialized view %I.%I', n.nspname, c.relname) ||
           coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', '') || ' as ' ||
           rtrim(pg_get_viewdef(c.oid), ';') || ' with no data'] as sql,
         'pg_class'::regclass::oid as classid, c.oid as objid
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind = 'm' and ${OWN_CLASS}`;

export const REFRESHES = `
  select 'refresh' as kind, format('%I.%I', n.nspname, c.relname) as name, format('%I.%I', n.nspname, c.relname) as tbl,
         array[format('refresh materialized view %I.%I', n.nspname, c.relname)] as sql,
         'pg_class'::regclass::oid as classid, c.oid as objid
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind = 'm' and c.relispopulated and ${OWN_CLASS}`;

export const RULES = `
  select 'rule' as kind, format('%I.%I.%I', n.nspname, c.relname, r.rulename) as name, format('%I.%I', n.nspname, c.relname) as tbl,
         array[pg_get_ruledef(r.oid)] || case r.ev_enabled when 'O' then '{}' else
           array[format('alter table %I.%I %s rule %I', n.nspname, c.relname, case r.ev_enabled when 'D' then 'disable'
             when 'R' then 'enable replica' else 'enable always' end, r.rulename)] end as sql,
         'pg_rewrite'::regclass::oid as classid, r.oid as objid
    from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
   where r.rulename <> '_RETURN' and ${OWN_CLASS}`;

/** Holdfast's own triggers call functions of its schema. */
export const TRIGGERS = `
  select 'trigger' as kind, format('%I.%I.%I', n.nspname, c.relname, t.tgname) as name, format('%I.%I', n.nspname, c.relname) as tbl,
         array[pg_get_triggerdef(t.oid)] || case t.tgenabled when 'O' then '{}' else
           array[format('alter table %I.%I %s trigger %I', n.nspname, c.relname, case t.tgenabled when 'D' then 'disable'
             when 'R' then 'enable replica' else 'enable always' end, t.tgname)] end as sql,
         'pg_trigger'::regclass::oid as classid, t.oid as objid
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_proc f on f.oid = t.tgfoid join pg_namespace fn on fn.oid = f.pronamespace
   where not t.tgisinternal and t.tgparentid = 0 and fn.nspname <> 'holdfast' and ${OWN_CLASS}`;

export const ROW_SECURITY = `
  select 'row security' as kind, format('%I.%I', n.nspname, c.relname) as name, format('%I.%I', n.nspname, c.relname) as tbl,
         array_remove(array[
           case when c.relrowsecurity then format('alter table %I.%I enable row level security', n.nspname, c.relname) end,
           case when c.relforcerowsecurity then format('alter table %I.%I force row level security', n.nspname, c.relname) end],
           null) as sql,
         'pg_class'::regclass::oid as classid, c.oid as objid
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where (c.relrowsecurity or c.relforcerowsecurity) and ${OWN_CLASS}`;

export const POLICIES = `
  select 'policy' as kind, format('%I.%I.%I', n.nspname, c.relname, p.polname) as name, format('%I.%I', n.nspname, c.relname) as tbl,
         array[format('create policy %I on %I.%I as %s for %s to %s', p.polname, n.nspname, c.relname,
             case when p.polpermissive then 'permissive' else 'restrictive' end,
             case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
             case when 0 = any (p.polroles) then 'public' else
               (select string_agg(quote_ident(r.rolname), ', ' order by r.rolname) from pg_roles r where r.oid = any (p.polroles)) end) ||
           coalesce(' using (' || pg_get_expr(p.polqual, p.polrelid) || ')', '') ||
           coalesce(' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')] as sql,
         (select array_agg(r.rolname::text order by r.rolname) from pg_roles r where r.oid = any (p.polroles)) as roles,
         'pg_policy'::regclass::oid as classid, p.oid as objid
    from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
   where ${OWN_CLASS}`;
