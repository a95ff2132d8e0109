/** Checks, keys, indexes, foreign keys, statistics. */
import { notFromExtension, OWN_CLASS, userSchema } from './conditions.ts';

const constraintRow = (kind: string, options: { only: boolean; extra?: string }): string => `
  select ${kind} as kind, format('%I.%I.%I', n.nspname, c.relname, k.conname) as name, format('%I.%I', n.nspname, c.relname) as tbl,
         array[format('alter table ${options.only ? 'only ' : ''}%I.%I add constraint %I %s', n.nspname, c.relname, k.conname,
           pg_get_constraintdef(k.oid))]${options.extra ?? ''} as sql,
         'pg_constraint'::regclass::oid as classid, k.oid as objid
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace`;

// Made on the empty table and checked by COPY as rows come in; one that was never validated must come after the rows.
export const CHECKS = `${constraintRow("case when k.convalidated then 'check' else 'late check' end", { only: false })}
   where k.contype = 'c' and k.conislocal and k.coninhcount = 0 and c.relkind in ('r', 'p') and ${OWN_CLASS}`;

export const KEYS = `${constraintRow("case when c.relkind = 'p' then 'partitioned key' else 'key' end", {
  only: true,
  extra: ` || (select case when ic.reloptions is null then '{}'
                 else array[format('alter index %I.%I set (%s)', n.nspname, ic.relname, array_to_string(ic.reloptions, ', '))] end
               from pg_class ic where ic.oid = k.conindid)`,
})}
   where k.contype in ('p', 'u', 'x') and c.relkind in ('r', 'p') and ${OWN_CLASS}`;

export const FOREIGN_KEYS = `${constraintRow("'foreign key'", { only: false })}
   where k.contype = 'f' and k.conparentid = 0 and c.relkind in ('r', 'p') and ${OWN_CLASS}`;

/** An index that a failed CREATE INDEX CONCURRENTLY left behind is not worth repeating. */
export const INDEXES = `
  select case when c.relkind = 'p' then 'partitioned index' else 'index' end as kind,
         format('%I.%I', n.nspname, ic.relname) as name, format('%I.%I', n.nspname, c.relname) as tbl,
         array[pg_get_indexdef(i.indexrelid)] as sql, 'pg_class'::regclass::oid as classid, i.indexrelid as objid
    from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_class c on c.oid = i.indrelid
    join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'm') and (i.indisvalid or c.relkind = 'p') and ${OWN_CLASS}
     and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))`;

export const INDEX_PARTITIONS = `
  select 'index partition' as kind, format('%I.%I', n.nspname, ic.relname) as name, format('%I.%I', n.nspname, c.relname) as tbl,
         array[format('alter index %I.%I attach partition %I.%I', pn.nspname, pc.relname, n.nspname, ic.relname)] as sql,
         'pg_class'::regclass::oid as classid, ic.oid as objid
    from pg_inherits h join pg_class ic on ic.oid = h.inhrelid join pg_index i on i.indexrelid = ic.oid
    join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_class pc on pc.oid = h.inhparent join pg_namespace pn on pn.oid = pc.relnamespace
   where ${OWN_CLASS}`;

export const CLUSTERS = `
  select 'cluster' as kind, format('%I.%I', n.nspname, c.relname) as name, format('%I.%I', n.nspname, c.relname) as tbl,
         array[format('alter table %I.%I cluster on %I', n.nspname, c.relname, ic.relname)] as sql,
         'pg_class'::regclass::oid as classid, ic.oid as objid
    from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_class c on c.oid = i.indrelid
    join pg_namespace n on n.oid = c.relnamespace
   where i.indisclustered and ${OWN_CLASS}`;

export const STATISTICS = `
  select 'statistics' as kind, format('%I.%I', n.nspname, s.stxname) as name, s.stxrelid::regclass::text as tbl,
         array[pg_get_statisticsobjdef(s.oid)] as sql, 'pg_statistic_ext'::regclass::oid as classid, s.oid as objid
    from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace
   where ${userSchema('n')} and ${notFromExtension('pg_statistic_ext', 's.oid')}`;
