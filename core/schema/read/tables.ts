/** Sequences, tables, partitions, defaults. */
import { OWN_CLASS } from './conditions.ts';

const SEQUENCE_OPTIONS = (s: string): string =>
  `format('increment by %s minvalue %s maxvalue %s start with %s cache %s%s', ${s}.seqincrement, ${s}.seqmin, ${s}.seqmax,
     ${s}.seqstart, ${s}.seqcache, case when ${s}.seqcycle then ' cycle' else '' end)`;

export const SEQUENCES = `
  select 'sequence' as kind, format('%I.%I', n.nspname, c.relname) as name, null as tbl,
         array[format('create sequence %I.%I as %s %s', n.nspname, c.relname, format_type(s.seqtypid, null),
           ${SEQUENCE_OPTIONS('s')})] as sql,
         'pg_class'::regclass::oid as classid, c.oid as objid
    from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace
   where ${OWN_CLASS}
     and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'i')`;

export const SEQUENCE_OWNERS = `
  select 'sequence owner' as kind, format('%I.%I', n.nspname, c.relname) as name, format('%I.%I', tn.nspname, t.relname) as tbl,
         array[format('alter sequence %I.%I owned by %I.%I.%I', n.nspname, c.relname, tn.nspname, t.relname, a.attname)] as sql,
         'pg_class'::regclass::oid as classid, c.oid as objid
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'a'
     and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0
    join pg_class t on t.oid = d.refobjid join pg_namespace tn on tn.oid = t.relnamespace
    join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
   where c.relkind = 'S' and ${OWN_CLASS}`;

// Ordinary defaults are made apart (DEFAULTS), because a default may call a function that takes the table's own row type.
// A partition is made as a table of its own and attached: its columns may stand in another order than its parent's.
const COLUMN = `
  format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)) ||
  case when a.attcollation <> at.typcollation
       then (select format(' collate %I.%I', cn.nspname, co.collname)
               from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace where co.oid = a.attcollation)
       else '' end ||
  case a.attgenerated when 's' then format(' generated always as (%s) stored', pg_get_expr(ad.adbin, ad.adrelid))
                      when 'v' then format(' generated always as (%s) virtual', pg_get_expr(ad.adbin, ad.adrelid))
                      else '' end ||
  case when a.attidentity <> '' and not c.relispartition
       then (select format(' generated %s as identity (sequence name %I.%I ',
                      case a.attidentity when 'a' then 'always' else 'by default' end, sn.nspname, sc.relname) ||
                    ${SEQUENCE_OPTIONS('s')} || ')'
               from pg_depend d join pg_class sc on sc.oid = d.objid join pg_namespace sn on sn.oid = sc.relnamespace
               join pg_sequence s on s.seqrelid = sc.oid
              where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
                and d.refobjid = c.oid and d.refobjsubid = a.attnum and d.deptype = 'i')
       else '' end ||
  case when a.attnotnull then ' not null' else '' end`;

const COLUMN_SETTINGS = `
  select array_agg(format('alter table only %I.%I alter column %I %s', n.nspname, c.relname, a.attname, x.setting) order by a.attnum, x.setting)
    from pg_attribute a join pg_type at on at.oid = a.atttypid
   cross join lateral (values
     (case when a.attstorage <> at.typstorage then 'set storage ' || case a.attstorage
        when 'p' then 'plain' when 'e' then 'external' when 'x' then 'extended' else 'main' end end),
     (case a.attcompression when 'p' then 'set compression pglz' when 'l' then 'set compression lz4' end),
     (case when coalesce(a.attstattarget, -1) >= 0 then 'set statistics ' || a.attstattarget end),
     (case when a.attoptions is not null then format('set (%s)', array_to_string(a.attoptions, ', ')) end),
     (case when a.attnotnull and not a.attislocal and not c.relispartition then 'set not null' end)
   ) x(setting)
   where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and x.setting is not null`;

export const TABLES = `
  select 'table' as kind, format('%I.%I', n.nspname, c.relname) as name, format('%I.%I', n.nspname, c.relname) as tbl,
         array[format('create %stable %I.%I (%s)', case c.relpersistence when 'u' then 'unlogged ' else '' end,
             n.nspname, c.relname, coalesce(cols.list, '')) ||
           coalesce(' inherits (' || (select string_agg(format('%I.%I', pn.nspname, p.relname), ', ' order by i.inhseqno)
               from pg_inherits i join pg_class p on p.oid = i.inhparent join pg_namespace pn on pn.oid = p.relnamespace
              where i.inhrelid = c.oid and not c.relispartition) || ')', '') ||
           coalesce(' partition by ' || pg_get_partkeydef(c.oid), '') ||
           coalesce((select format(' using %I', am.amname) from pg_am am where am.oid = c.relam and am.amname <> 'heap'), '') ||
           coalesce(' with (' || nullif(array_to_string(c.reloptions || coalesce((
             select array_agg('toast.' || o) from pg_class tc, unnest(tc.reloptions) o where tc.oid = c.reltoastrelid), '{}'),
             ', '), '') || ')', '')] || coalesce((${COLUMN_SETTINGS}), '{}') as sql,
         cols.columns, 'pg_class'::regclass::oid as classid, c.oid as objid
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   cross join lateral (
     select string_agg(def, ', ' order by attnum) filter (where attislocal or c.relispartition) as list,
            jsonb_object_agg(attname, def) as columns
       from (select a.attnum, a.attname, a.attislocal, ${COLUMN} as def
               from pg_attribute a join pg_type at on at.oid = a.atttypid
               left join pg_attrdef ad on ad.adrelid = a.attrelid and ad.adnum = a.attnum
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) d) cols
   where c.relkind in ('r', 'p') and ${OWN_CLASS}`;

export const PARTITIONS = `
  select 'partition' as kind, format('%I.%I', n.nspname, c.relname) as name, format('%I.%I', pn.nspname, p.relname) as tbl,
         array[format('alter table %I.%I attach partition %I.%I %s', pn.nspname, p.relname, n.nspname, c.relname,
           pg_get_expr(c.relpartbound, c.oid))] as sql,
         'pg_class'::regclass::oid as classid, c.oid as objid
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_inherits i on i.inhrelid = c.oid join pg_class p on p.oid = i.inhparent join pg_namespace pn on pn.oid = p.relnamespace
   where c.relispartition and c.relkind in ('r', 'p') and ${OWN_CLASS}`;

export const DEFAULTS = `
  select case when c.relkind = 'v' then 'view default' else 'default' end as kind,
         format('%I.%I.%I', n.nspname, c.relname, a.attname) as name, format('%I.%I', n.nspname, c.relname) as tbl,
         array[format('alter table only %I.%I alter column %I set default %s', n.nspname, c.relname, a.attname,
           pg_get_expr(ad.adbin, ad.adrelid))] as sql,
         'pg_attrdef'::regclass::oid as classid, ad.oid as objid
    from pg_attrdef ad join pg_class c on c.oid = ad.adrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum = ad.adnum
   where a.attgenerated = '' and c.relkind in ('r', 'p', 'v') and ${OWN_CLASS}`;

export const REPLICA_IDENTITIES = `
  select 'replica identity' as kind, format('%I.%I', n.nspname, c.relname) as name, format('%I.%I', n.nspname, c.relname) as tbl,
         array[format('alter table only %I.%I replica identity ', n.nspname, c.relname) ||
           case c.relreplident when 'f' then 'full' when 'n' then 'nothing'
             else (select format('using index %I', ic.relname) from pg_index i join pg_class ic on ic.oid = i.indexrelid
                    where i.indrelid = c.oid and i.indisreplident) end] as sql,
         'pg_class'::regclass::oid as classid, c.oid as objid
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p') and c.relreplident <> 'd' and ${OWN_CLASS}
     and (c.relreplident <> 'i' or exists (select from pg_index i where i.indrelid = c.oid and i.indisreplident))`;
