-- How a value of any type is written as text, and when two values differ, as SQL for the generated triggers. In PL/pgSQL where
-- they are called per column: it keeps plans for the session, and LANGUAGE sql plans its body again in every statement.

-- Domains stand for what they are over.
create function holdfast.base_type(typid oid) returns oid
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  base  oid := typid;
  next  oid;
begin
  loop
    select t.typbasetype into next from pg_type t where t.oid = base and t.typtype = 'd';
    if not found then
      return base;
    end if;
    base := next;
  end loop;
end $$;

-- The value as the type's own output function writes it, which is what its input function reads back. A cast to text is the
-- same and faster, but not for every type: text(bpchar) drops blanks, text(boolean) writes words, text(xml) keeps a declaration, and anyone
-- may add a cast.
create function holdfast.text_sql(typid oid, value text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (
  select case
      when t.oid <> 'xml'::regtype
       and exists (select from pg_cast c where c.castsource = t.oid and c.casttarget = 'text'::regtype and c.castmethod = 'b')
        or t.oid = 'text'::regtype
        or t.typnamespace = 'pg_catalog'::regnamespace
           and not exists (select from pg_cast c where c.castsource = t.oid and c.casttarget = 'text'::regtype)
      then format('%s::text', value)
      else format('textin(%I.%I(%s))', n.nspname, p.proname, value)
    end
  from pg_type t join pg_proc p on p.oid = t.typoutput join pg_namespace n on n.oid = p.pronamespace
 where t.oid = holdfast.base_type(typid));
end $$;

-- Old and new value as a JSON array of texts, as text. Where a type's texts need no escaping, without the cost of it.
create function holdfast.pair_sql(typid oid, a text, b text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (
  select case
      when t.typnamespace = 'pg_catalog'::regnamespace and t.typname in (
        'int2', 'int4', 'int8', 'oid', 'uuid', 'numeric', 'float4', 'float8', 'date', 'time', 'timetz', 'timestamp', 'timestamptz',
        'interval', 'pg_lsn')
      then format($sql$'[' || coalesce('"' || %s::text || '"', 'null') || ',' || coalesce('"' || %s::text || '"', 'null') || ']'$sql$, a, b)
      else format('json_build_array(%s, %s)::text', holdfast.text_sql(typid, a), holdfast.text_sql(typid, b))
    end
  from pg_type t where t.oid = holdfast.base_type(typid));
end $$;

-- True when the texts differ. "=" serves where equal means identical; elsewhere it calls 1.0 and 1.00, 0 and -0, or two
-- spellings under a collation the same, or does not exist. Then images decide, and where they differ, the texts.
create function holdfast.differs_sql(typid oid, a text, b text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (
  select case
      when t.typtype = 'e' or t.typnamespace = 'pg_catalog'::regnamespace and t.typname in (
        'bool', 'int2', 'int4', 'int8', 'oid', 'uuid', 'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'bytea', 'money',
        'name', 'char', 'macaddr', 'macaddr8', 'pg_lsn', 'xid8', 'bit', 'varbit', 'inet', 'cidr')
      then format('%s is distinct from %s', a, b)
      when t.oid in ('text'::regtype, 'varchar'::regtype)
      then format('%s collate "C" is distinct from %s collate "C"', a, b)
      when t.oid = 'numeric'::regtype
      then format('(%1$s is distinct from %2$s or scale(%1$s) is distinct from scale(%2$s))', a, b)
      when t.oid in ('float4'::regtype, 'float8'::regtype)
      then format('(%1$s is distinct from %2$s or %1$s = 0 and %1$s::text is distinct from %2$s::text)', a, b)
      else format('(row(%1$s)::record *<> row(%2$s)::record and %3$s collate "C" is distinct from %4$s collate "C")',
                  a, b, holdfast.text_sql(typid, a), holdfast.text_sql(typid, b))
    end
  from pg_type t where t.oid = holdfast.base_type(typid));
end $$;

-- Types that a type is made of, itself included: elements, bounds, fields, bases.
create function holdfast.parts_of(typid oid) returns setof oid
language sql stable set search_path = pg_catalog, pg_temp as $$
  with recursive parts(oid) as (
    select typid
    union
    select sub.oid from parts join pg_type t on t.oid = parts.oid, lateral (
      select t.typbasetype as oid where t.typtype = 'd'
      union all select t.typelem where t.typelem <> 0 and t.typtype = 'b'
      union all select r.rngsubtype from pg_range r where t.oid in (r.rngtypid, r.rngmultitypid)
      union all select a.atttypid from pg_attribute a where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    ) sub
  )
  select oid from parts
$$;

-- The settings that the text of these types depends on, as SET clauses for a function. Only those: each one costs on every
-- call. The values are those of PINNED_SETTINGS in core/sql.ts.
create function holdfast.settings_sql(typids oid[]) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  with leaves as (
    select distinct t.typname, t.typtype,
           t.typnamespace = 'pg_catalog'::regnamespace as own,
           t.typname in ('citext', 'hstore', 'ltree', 'lquery', 'ltxtquery') as plain
      from unnest(typids) x, holdfast.parts_of(x) p join pg_type t on t.oid = p
  ), unknown as (
    -- A type of an extension may print through anything; cube and PostGIS, for example, through floats.
    select exists (select from leaves where typtype = 'b' and not own and not plain and typname !~ '^_') as yes
  )
  select 'set search_path = pg_catalog, pg_temp' || coalesce(string_agg(format(E'\n  set %s = %s', s.name, s.value), '' order by s.name), '')
    from unknown, (values
      ('datestyle', '''ISO, YMD''', array['date', 'timestamp', 'timestamptz']),
      ('timezone', '''UTC''', array['timestamptz']),
      ('intervalstyle', '''postgres''', array['interval']),
      ('extra_float_digits', '1', array['float4', 'float8', 'point', 'lseg', 'path', 'box', 'polygon', 'line', 'circle']),
      ('bytea_output', '''hex''', array['bytea']),
      ('lc_monetary', '''C''', array['money'])
    ) s(name, value, types)
   where unknown.yes or exists (select from leaves where own and typname = any (s.types))
$$;

-- Equality of a stored value with one of another type, by the operator that an index on the first would use. Without one
-- across the two types the second is cast to the first.
create function holdfast.equals_sql(a text, a_type oid, b text, b_type oid) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (
  with bases as (
    select holdfast.base_type(a_type) as a, holdfast.base_type(b_type) as b
  ), family as (
    select oc.opcfamily, oc.opcintype from pg_opclass oc join pg_am am on am.oid = oc.opcmethod and am.amname = 'btree', bases
     where oc.opcdefault and (oc.opcintype = bases.a
        or exists (select from pg_cast c where c.castsource = bases.a and c.casttarget = oc.opcintype and c.castmethod = 'b')
        or oc.opcintype = 'anyenum'::regtype and exists (select from pg_type t where t.oid = bases.a and t.typtype = 'e'))
     order by oc.opcintype = bases.a desc limit 1
  ), operator as (
    select o.oprname, n.nspname, m.amoprighttype = f.opcintype as same
      from family f join pg_amop m on m.amopfamily = f.opcfamily and m.amopstrategy = 3 and m.amoplefttype = f.opcintype
      join pg_operator o on o.oid = m.amopopr join pg_namespace n on n.oid = o.oprnamespace, bases
     where m.amoprighttype in (bases.b, f.opcintype)
     order by m.amoprighttype = bases.b desc limit 1
  )
  select format('%s operator(%I.%s) %s', a, nspname, oprname,
                case when same and a_type <> b_type then format('%s::%s', b, format_type(a_type, null)) else b end)
    from operator);
end $$;
