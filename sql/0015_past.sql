-- What records were at a cut: the shape that a table had, rows as {column: text} and back, and what changed since undone.

-- Whose history may be asked for: null is everyone's. A session that has set a tenant is held to it, whatever its role.
create function holdfast.scope(tenant text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  own  text := nullif(current_setting('holdfast.tenant', true), '');
begin
  if own is not null then
    if tenant <> own then
      raise exception 'this session is held to tenant %, and asked for tenant %', own, tenant using errcode = 'HF017';
    end if;
    return own;
  end if;
  if row_security_active('holdfast.trail')
     and not pg_has_role((select c.relowner from pg_class c where c.oid = 'holdfast.trail'::regclass), 'usage') then
    raise exception 'role % sees one tenant at a time, and none is set', current_user
      using errcode = 'HF017', hint = 'Set holdfast.tenant to the tenant in this transaction.';
  end if;
  return tenant;
end $$;

create function holdfast.equals_or_any_sql(expression text, value text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when value is null then 'true' else format('%s = %L', expression, value) end
$$;

create function holdfast.tenant_of_trail_sql(tenant text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select holdfast.equals_or_any_sql('c.organization', tenant)
$$;

create function holdfast.protected(relation regclass) returns holdfast.tables
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  t     holdfast.tables;
  root  regclass;
begin
  select * into t from holdfast.tables p where p.oid = relation and p.dropped_at is null;
  if not found then
    root := pg_partition_root(relation);
    raise exception '% is not a protected table', coalesce(relation::text, 'that')
      using errcode = 'HF010', hint = case when root <> relation then format('It is a partition of %s: ask for that.', root)
                                           else 'Add it to holdfast.yaml and run holdfast install.' end;
  end if;
  return t;
end $$;

-- Refuses a moment from which the table's rows cannot be carried to its present shape.
create function holdfast.check_reach(t holdfast.tables, cut holdfast.cut) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v     holdfast.table_versions;
  gone  text;
begin
  if t.rule -> 'key' = '[]' then
    raise exception '% has no key, so its records cannot be told apart', t.name
      using errcode = 'HF015', hint = 'Give it a primary key.';
  elsif cut.moment < t.protected_at then
    raise exception 'the history of % begins after %', t.name, holdfast.iso(cut.moment)
      using errcode = 'HF012', detail = format('The nearest moment is %s.', holdfast.iso(t.protected_at));
  end if;
  for v in select * from holdfast.table_versions x where x.table_id = t.id and x.version > 1 order by x.version desc loop
    exit when holdfast.in_cut(v.xid, cut);
    if v.barrier is not null then
      raise exception '% has changed since %: %', t.name, holdfast.iso(cut.moment), v.barrier
        using errcode = 'HF014', detail = format('The nearest moment is %s.', holdfast.iso(coalesce(holdfast.committed_at(v.xid), v.noted_at)));
    end if;
  end loop;
  select string_agg(quote_ident(x.name), ', ') into gone from holdfast.lost(t, cut) x(name);
  if gone is not null then
    raise notice '% had columns that were dropped since: %. holdfast.history has their values.', t.name, gone;
  end if;
end $$;

-- The version of a table's shape at the cut.
create function holdfast.version_at(t holdfast.tables, cut holdfast.cut) returns holdfast.table_versions
language sql stable set search_path = pg_catalog, pg_temp as $$
  select v.* from holdfast.table_versions v
   where v.table_id = t.id and (v.version = 1 or holdfast.in_cut(v.xid, cut))
   order by v.version desc limit 1
$$;

-- Columns that the table had at the cut and has no longer.
create function holdfast.lost(t holdfast.tables, cut holdfast.cut) returns setof text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select c ->> 'name' from jsonb_array_elements((holdfast.version_at(t, cut)).columns) c
   where not exists (select from pg_attribute a where a.attrelid = t.oid and a.attnum = (c ->> 'attnum')::int and not a.attisdropped)
$$;

-- What rows from before the cut have in columns that came later: {column: text}.
create function holdfast.came_later(t holdfast.tables, cut holdfast.cut) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(jsonb_object_agg(a.attname, (
           -- A table that is rewritten loses its note of the constant; the version that added the column keeps it.
           select c -> 'missing' from holdfast.table_versions v, jsonb_array_elements(v.columns) c
            where v.table_id = t.id and (c ->> 'attnum')::int = a.attnum order by v.version limit 1)), '{}')
    from pg_attribute a
   where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
     and not exists (select from jsonb_array_elements((holdfast.version_at(t, cut)).columns) c where (c ->> 'attnum')::int = a.attnum)
$$;

-- Stored generated columns that came later: what the live row has in them says nothing of the cut.
create function holdfast.computed_later(t holdfast.tables, cut holdfast.cut) returns text[]
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(array_agg(a.attname::text), '{}')
    from pg_attribute a
   where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = 's'
     and not exists (select from jsonb_array_elements((holdfast.version_at(t, cut)).columns) c where (c ->> 'attnum')::int = a.attnum)
$$;

-- The present name of the column that change `c` calls `name`; null where it was dropped.
create function holdfast.name_sql(t holdfast.tables, name text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when count(*) < 2 then name
              else 'case ' || string_agg(format('when c.seq >= %s then %s', x.from_seq, x.present), ' ' order by x.version desc)
                || format(' else %s end', (array_agg(x.present order by x.version))[1]) end
    from (select v.version, v.from_seq, format('%L::jsonb ->> %s', (
                   select coalesce(jsonb_object_agg(c ->> 'name', a.attname), '{}')
                     from jsonb_array_elements(v.columns) c join pg_attribute a
                       on a.attrelid = t.oid and a.attnum = (c ->> 'attnum')::int and not a.attisdropped), name) as present
            from holdfast.table_versions v where v.table_id = t.id) x
$$;

-- The live rows, alias `alias`, of a tenant, as a condition that its indexes serve.
create function holdfast.tenant_sql(t holdfast.tables, tenant text, alias text, depth integer default 1) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  reach   jsonb := t.rule -> 'tenant';
  parent  holdfast.tables;
  a       pg_attribute;
begin
  if tenant is null then
    return 'true';
  elsif reach is null then
    return 'false';
  elsif reach ->> 'kind' = 'column' then
    select * into strict a from pg_attribute x where x.attrelid = t.oid and x.attnum = (reach ->> 'column')::int;
    return holdfast.equals_sql(format('%s.%I', alias, a.attname), a.atttypid,
                               format('%L::%s', tenant, format_type(holdfast.base_type(a.atttypid), -1)), a.atttypid);
  end if;
  select * into strict parent from holdfast.tables p where p.id = (reach ->> 'parent')::int;
  return format('exists (select from %s p%s where %s and %s)', parent.oid::regclass, depth,
                holdfast.join_sql(t.oid, alias, parent.oid, 'p' || depth, reach), holdfast.tenant_sql(parent, tenant, 'p' || depth, depth + 1));
end $$;

-- The live row, alias t, whose record id is `record`, an expression: a join with the key's columns in their own types.
create function holdfast.live_sql(t holdfast.tables, record text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select format('%s t where %s', t.oid::regclass, string_agg(holdfast.equals_sql(
           format('t.%I', a.attname), a.atttypid,
           -- A cast that is a function is not the inverse of the type's output; a record is read by its input.
           case when exists (select from pg_cast x where x.castsource = 'text'::regtype and x.casttarget = y.typid and x.castmethod = 'f')
             then format('(select j.k from jsonb_to_record(jsonb_build_object(''k'', %s)) j(k %s))', y.part, format_type(y.typid, -1))
             else format('(%s)::%s', y.part, format_type(y.typid, -1)) end, a.atttypid), ' and ' order by k.n))
    from (select k.n, k.attnum, count(*) over () as m from jsonb_array_elements_text(t.rule -> 'key') with ordinality k(attnum, n)) k
    join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum::int
    cross join lateral (select holdfast.base_type(a.atttypid) as typid,
                               case when k.m = 1 then record else format('(%s)::jsonb ->> %s', record, k.n - 1) end as part) y
$$;

-- A live row, alias `alias`, as {column: text}: what holdfast.row_sql gives, but cheap to write out; every question does.
create function holdfast.texts_sql(relation oid, alias text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select 'jsonb_object(array[' || coalesce(string_agg(format(
           case when y.typnamespace = 'pg_catalog'::regnamespace and y.typname in (
                  'int2', 'int4', 'int8', 'oid', 'uuid', 'numeric', 'text', 'varchar', 'float4', 'float8', 'date', 'time', 'timetz',
                  'timestamp', 'timestamptz', 'interval', 'json', 'jsonb', 'bytea')
                then '%1$L, %2$s.%3$I::text' else '%1$L, case when num_nulls(%2$s.%3$I) = 0 then format(''%%s'', %2$s.%3$I) end' end,
           a.attname, alias, a.attname), ', ' order by a.attnum), '') || ']::text[])'
    from pg_attribute a join pg_type y on y.oid = a.atttypid
   where a.attrelid = relation and a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v'
$$;

create function holdfast.row_literal(fields text[]) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select '(' || string_agg(coalesce('"' || replace(replace(f, '\', '\\'), '"', '""') || '"', ''), ',' order by n) || ')'
    from unnest(fields) with ordinality x(f, n)
$$;

-- A row of the table's own type out of {column: text}, by each type's input function. Casts from text are not their inverse:
-- text::char(n), text::regclass, casts that users made. What history lacks of generated columns is computed.
create function holdfast.typed_sql(relation oid, texts text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when bool_and(a.attgenerated = '') then literal
              else format('(select row(%s)::%s from (select (p.r).* from (select %s as r offset 0) p) q)',
                     string_agg(case a.attgenerated
                         when '' then format('q.%I', a.attname)
                         when 's' then format('case when %s ? %L then q.%I else (%s) end', texts, a.attname, a.attname, pg_get_expr(d.adbin, d.adrelid))
                         else format('(%s)', pg_get_expr(d.adbin, d.adrelid)) end, ', ' order by a.attnum), relation::regclass, literal) end
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    cross join lateral (
      select format('holdfast.row_literal(array[%s]::text[])::%s',
               string_agg(case when b.attgenerated = 'v' then 'null' else format('%s ->> %L', texts, b.attname) end, ', ' order by b.attnum),
               relation::regclass) as literal
        from pg_attribute b where b.attrelid = relation and b.attnum > 0 and not b.attisdropped) l
   where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
   group by literal
$$;

create function holdfast.broken(table_name text, record text) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'record % of %, which history says exists, is not there', record, table_name
    using errcode = 'HF018', hint = 'Changes were made past the triggers: run holdfast doctor.';
end $$;

-- Values that were lawfully erased from history stand in it as {"redacted": true}. Those of a row as {column: null}; null: none.
create function holdfast.redacted_in(texts jsonb) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when texts @? '$.*.redacted' then
    (select jsonb_object_agg(e.key, null) from jsonb_each(texts) e where jsonb_typeof(e.value) = 'object') end
$$;

-- What a row of the table's own type can show: nulls, and a word about it, once for a table and transaction.
create function holdfast.without_redacted(table_name text, texts jsonb) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  redacted  jsonb := holdfast.redacted_in(texts);
  told      text := coalesce(current_setting('holdfast.told', true), '');
begin
  if redacted is null then
    return texts;
  elsif position(table_name in told) = 0 then
    perform set_config('holdfast.told', told || ' ' || table_name, true);
    raise notice 'values of % were erased from history and are shown as null; holdfast.history tells which', table_name;
  end if;
  return texts || redacted;
end $$;

-- What changed after the cut, undone: common table expressions, of which the last, `name`, has for each record that changed what
-- it was at the cut: `texts`, {column: text}, null where there was none. `filter` narrows the rows of the trail, alias c.
create function holdfast.past_sql(t holdfast.tables, cut holdfast.cut, tenant text, filter text, narrow boolean, name text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select holdfast.fill($sql${name}_read as materialized (
    -- Apart from the window, whose order would draw the planner to an index that reads other tenants' changes.
    select c.record, coalesce(c.before_seq, c.seq) as place, c.seq, c.action, c.changes
      from holdfast.trail c
     where c.table_id = {id} and c.record is not null and {mine} and {filter} and {after}
  ), {name}_changed as (
    select c.*, row_number() over w as n,
           count(*) filter (where c.action <> 'U') over (w rows between unbounded preceding and 1 preceding) as ended
      from {name}_read c window w as (partition by c.record order by c.place, c.seq desc)
  ), {name}_ends as (
    -- Undone, an insert leaves nothing; a delete leaves the row; after updates alone the row is there still. Of each column the
    -- oldest value counts, which is added last. "ended < 1", because the planner takes "= 0" for next to nothing.
    select c.record, min(c.action) filter (where c.n = 1) as first, bool_or(c.action = 'D') as whole,
           jsonb_object_agg(x.name, x.value order by c.n desc) filter (where x.name is not null) as texts
      from {name}_changed c
      left join lateral (
        select {column} as name, case when c.action = 'U' and jsonb_typeof(e.value) = 'array' then e.value -> 0 else e.value end as value
          from jsonb_each(case when c.action <> 'I' then c.changes end) e) x on true
     where c.ended < 1 group by c.record
  ), {name} as (
    select e.record, case when e.first = 'I' then null
                          when e.whole then ({later} || e.texts) - {computed}
                          else (coalesce(l.texts, {missing}) || coalesce(e.texts, '{}')) - {computed} end as texts
      from {name}_ends e
      left join lateral (select {row} as texts from {live} and {own}) l on true
  )$sql$, jsonb_build_object(
    'name', name, 'id', t.id, 'mine', holdfast.tenant_of_trail_sql(tenant), 'filter', filter, 'after', holdfast.after_cut_sql(cut, narrow),
    'column', holdfast.name_sql(t, 'e.key'), 'later', quote_literal(holdfast.came_later(t, cut)) || '::jsonb',
    'computed', quote_literal(holdfast.computed_later(t, cut)) || '::text[]',
    'missing', case when row_security_active(t.oid) then 'null::jsonb' else format('holdfast.broken(%L, e.record)', t.name) end,
    'row', holdfast.texts_sql(t.oid, 't'), 'live', holdfast.live_sql(t, 'case when e.first = ''U'' and not e.whole then e.record end'), 'own', holdfast.tenant_sql(t, tenant, 't')))
$$;
