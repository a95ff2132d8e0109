/** What a schema record does not carry, by name, so that nothing is left out silently. */
import { notFromExtension, userSchema } from './conditions.ts';

const inSchema = (catalog: string, oid: string, namespace: string, condition = 'true'): string => `
  select '${catalog}'::regclass::oid as classid, x.oid as objid from ${catalog} x join pg_namespace n on n.oid = x.${namespace}
   where ${userSchema('n')} and ${notFromExtension(catalog, oid)} and ${condition}`;

// 16384 is the first OID that does not come with the server.
export const OMITTED = `
  select format('%s %s', o.type, o.identity) as name
    from (${inSchema('pg_operator', 'x.oid', 'oprnamespace')}
          union all ${inSchema('pg_opclass', 'x.oid', 'opcnamespace')}
          union all ${inSchema('pg_ts_config', 'x.oid', 'cfgnamespace')}
          union all ${inSchema('pg_ts_dict', 'x.oid', 'dictnamespace')}
          union all ${inSchema('pg_class', 'x.oid', 'relnamespace', "x.relkind = 'f'")}
          union all ${inSchema('pg_type', 'x.oid', 'typnamespace', "x.typtype = 'b' and x.typcategory <> 'A'")}
          union all select 'pg_cast'::regclass, x.oid from pg_cast x where x.oid >= 16384 and ${notFromExtension('pg_cast', 'x.oid')}
          union all select 'pg_event_trigger'::regclass, x.oid from pg_event_trigger x join pg_proc f on f.oid = x.evtfoid
                      join pg_namespace n on n.oid = f.pronamespace
                     where n.nspname <> 'holdfast' and ${notFromExtension('pg_event_trigger', 'x.oid')}
          union all select 'pg_publication'::regclass, x.oid from pg_publication x
          union all select 'pg_default_acl'::regclass, x.oid from pg_default_acl x) t
   cross join lateral pg_identify_object(t.classid, t.objid, 0) o
   order by 1`;
