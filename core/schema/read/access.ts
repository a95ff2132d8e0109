/** Comments, settings, grants, owners: what hangs on objects that the other queries found. $1: their catalogs, $2: their OIDs. */

const TARGETS = `unnest($1::oid[], $2::oid[]) with ordinality as t(classid, objid, n)`;

// pg_identify_object names things as COMMENT ON wants them, but for constraints and the columns of views.
export const COMMENTS = `
  select 'comment' as kind, format('%s %s', o.type, o.identity) as name, null as tbl,
         array[format('comment on %s %s is %L',
           case when o.type like '% column' then 'column' when o.type = 'table constraint' or o.type = 'domain constraint' then 'constraint'
                when o.type = 'composite type' then 'type' when o.type = 'statistics object' then 'statistics' else o.type end,
           case when o.type = 'domain constraint' then replace(o.identity, ' on ', ' on domain ') else o.identity end,
           d.description)] as sql,
         t.classid, t.objid
    from (select classid, objid from ${TARGETS}
          union all select 'pg_constraint'::regclass, k.oid
            from ${TARGETS} join pg_constraint k on t.classid = 'pg_type'::regclass and k.contypid = t.objid) t
    join pg_description d on d.classoid = t.classid and d.objoid = t.objid
   cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) o
   where t.classid not in ('pg_extension'::regclass, 'pg_attrdef'::regclass)
     and not (t.classid = 'pg_namespace'::regclass and d.description = 'standard public schema')`;

const CATALOGS = `
  select 'pg_class'::regclass::oid as classid, oid, relowner as owner, relacl as acl,
         case when relkind = 'S' then 'S' else 'r' end::"char" as type, case when relkind = 'S' then 'sequence' else 'table' end as word
    from pg_class where relkind in ('r', 'p', 'v', 'm', 'S')
  union all select 'pg_proc'::regclass, oid, proowner, proacl, 'f', 'routine' from pg_proc
  union all select 'pg_type'::regclass, oid, typowner, typacl, 'T', 'type' from pg_type
  union all select 'pg_namespace'::regclass, oid, nspowner, nspacl, 'n', 'schema' from pg_namespace`;

const NAMED = `
  (select distinct classid, objid from ${TARGETS}) t
    join (${CATALOGS}) c on c.classid = t.classid and c.oid = t.objid
   cross join lateral pg_identify_object(t.classid, t.objid, 0) o`;

const ROLE = "case when a.grantee = 0 then 'public' else quote_ident(g.rolname) end";

/** Only what differs from the default privileges of the owner. */
export const GRANTS = `
  select 'grant' as kind, format('%s %s %s %s %s', x.verb, a.privilege_type, c.word, o.identity, ${ROLE}) as name, null as tbl,
         array[format('%s %s on %s %s %s %s', x.verb, a.privilege_type, c.word, o.identity,
           case x.verb when 'grant' then 'to' else 'from' end, ${ROLE}) ||
           case when x.verb = 'grant' and a.is_grantable then ' with grant option' else '' end] as sql,
         case when a.grantee = 0 then null else array[g.rolname::text] end as roles, t.classid, t.objid
    from ${NAMED}
   cross join lateral (
     (select 'grant' as verb, grantee, privilege_type, is_grantable from aclexplode(c.acl)
       except select 'grant', grantee, privilege_type, is_grantable from aclexplode(acldefault(c.type, c.owner)))
     union all
     (select 'revoke', grantee, privilege_type, false from aclexplode(acldefault(c.type, c.owner))
       except select 'revoke', grantee, privilege_type, false from aclexplode(c.acl))) x
   cross join lateral (select x.grantee, x.privilege_type, x.is_grantable) a
    left join pg_roles g on g.oid = a.grantee
   where c.acl is not null and (a.grantee = 0 or g.oid is not null)
   union all
  select 'grant', format('grant %s (%I) %s %s', a.privilege_type, at.attname, t.objid::regclass, ${ROLE}), null,
         array[format('grant %s (%I) on table %s to %s', a.privilege_type, at.attname, t.objid::regclass, ${ROLE}) ||
           case when a.is_grantable then ' with grant option' else '' end],
         case when a.grantee = 0 then null else array[g.rolname::text] end, t.classid, t.objid
    from (select distinct classid, objid from ${TARGETS}) t
    join pg_attribute at on t.classid = 'pg_class'::regclass and at.attrelid = t.objid and not at.attisdropped
   cross join lateral aclexplode(at.attacl) a left join pg_roles g on g.oid = a.grantee
   where at.attacl is not null and (a.grantee = 0 or g.oid is not null)`;

export const OWNERS = `
  select 'owner' as kind, format('%s %s', o.type, o.identity) as name, null as tbl,
         array[format('alter %s %s owner to %I', case when o.type = 'composite type' then 'type' else o.type end, o.identity, r.rolname)] as sql,
         array[r.rolname::text] as roles, t.classid, t.objid
    from ${NAMED} join pg_roles r on r.oid = c.owner
   where not (t.classid = 'pg_namespace'::regclass and r.rolname ~ '^pg_')`;

/** Settings made with ALTER DATABASE; the name of the database is filled in where they are applied. */
export const SETTINGS = `
  select 'setting' as kind, split_part(s, '=', 1) as name, null as tbl, array[substr(s, strpos(s, '=') + 1)] as sql,
         'pg_database'::regclass::oid as classid, d.oid as objid
    from pg_db_role_setting rs join pg_database d on d.oid = rs.setdatabase, unnest(rs.setconfig) s
   where d.datname = current_database() and rs.setrole = 0`;
