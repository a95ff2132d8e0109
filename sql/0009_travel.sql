-- Time travel: reading history, never changing data. Each question is one statement over the trail and the live rows, written
-- out as text by a `…_sql` function, so that an application can ask it in SQL and Holdfast itself can stream it through a cursor.
--
-- Everything runs with the rights of the one who asks: an ordinary role needs SELECT on holdfast.trail, actors, tables and
-- table_versions, and sees the tenant that holdfast.tenant names. Only what tells when transactions committed runs as the owner.
--
-- Refusals: HF010 not a protected table, HF011 future, HF012 before history, HF013 no exact answer, HF014 schema changed,
-- HF015 no key, HF016 not a key, HF017 another tenant, HF018 history has a hole, HF019 not a usable argument.

-- What had committed by `moment`: what the snapshot sees, and these transactions besides.
create type holdfast.cut as (moment timestamptz, snapshot pg_snapshot, extra bigint[]);

create index horizons_xmax on holdfast.horizons ((pg_snapshot_xmax(snapshot)::text::bigint), id);

create function holdfast.iso(moment timestamptz) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- Closes the present moment, where that is harmless, and returns the last that is closed. Closing takes a lock until the
-- transaction ends, so it is not done in one that has been open for a while: somebody may be sitting before it.
create function holdfast.present() returns holdfast.closed_moment
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  last  holdfast.closed_moment;
begin
  if clock_timestamp() - transaction_timestamp() < interval '1 second' and not current_setting('transaction_read_only')::boolean
     and current_setting('transaction_isolation') in ('read committed', 'read uncommitted') then
    return holdfast.advance();
  end if;
  select h.id, h.until, h.snapshot into last from holdfast.horizons h order by h.id desc limit 1;
  return last;
end $$;

-- The cut at a moment; null: the present. The same moment gives the same cut for ever.
create function holdfast.resolve_cut(moment timestamptz) returns holdfast.cut
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  last  holdfast.closed_moment;
  base  holdfast.horizons;
  next  holdfast.horizons;
begin
  if moment > clock_timestamp() then
    raise exception '% is in the future', holdfast.iso(moment)
      using errcode = 'HF011', detail = format('The nearest moment is %s.', holdfast.iso(clock_timestamp()));
  end if;
  select h.id, h.until, h.snapshot into last from holdfast.horizons h order by h.id desc limit 1;
  if moment is null or last.until < moment then
    last := holdfast.present();
    if moment is null then
      return (last.until, last.snapshot, '{}'::bigint[])::holdfast.cut;
    elsif last.until < moment then
      raise exception 'history is closed up to %, which is before %', holdfast.iso(last.until), holdfast.iso(moment)
        using errcode = 'HF013', detail = format('The nearest moment is %s.', holdfast.iso(last.until)),
              hint = 'Ask in a new transaction that may write, READ COMMITTED; or run "holdfast maintain" every minute.';
    end if;
  end if;
  select * into base from holdfast.horizons h where h.moment <= resolve_cut.moment order by h.moment desc, h.id desc limit 1;
  if not found then
    raise exception 'history begins after %', holdfast.iso(moment)
      using errcode = 'HF012', detail = format('The nearest moment is %s.', (select holdfast.iso(min(h.moment)) from holdfast.horizons h)),
            hint = 'Choose a later moment, or restore from a backup that reaches back to it.';
  elsif moment <= base.until then
    return (moment, base.snapshot, '{}'::bigint[])::holdfast.cut;
  end if;
  select * into strict next from holdfast.horizons h where h.moment > resolve_cut.moment order by h.moment, h.id limit 1;
  if not next.exact then
    raise exception 'the server kept no commit times around %', holdfast.iso(moment)
      using errcode = 'HF013', detail = format('The nearest moments are %s and %s.', holdfast.iso(base.until), holdfast.iso(next.moment)),
            hint = 'Set track_commit_timestamp = on for the future.';
  end if;
  return (moment, base.snapshot, array(
    select x.xid from unnest(next.xids, next.committed) x(xid, at) where x.at <= resolve_cut.moment))::holdfast.cut;
end $$;

-- When a transaction committed, as horizons have it; for one that none sees yet, as the next one will. Null: not known.
create function holdfast.committed_at(xid bigint) returns timestamptz
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  h      holdfast.horizons;
  place  integer;
  at     timestamptz;
begin
  select * into h from holdfast.horizons g
   where pg_snapshot_xmax(g.snapshot)::text::bigint > committed_at.xid
     and pg_visible_in_snapshot(committed_at.xid::text::xid8, g.snapshot)
   order by pg_snapshot_xmax(g.snapshot)::text::bigint, g.id limit 1;
  place := array_position(h.xids, xid);
  if place is not null then
    return h.committed[place];
  elsif current_setting('track_commit_timestamp')::boolean then
    at := pg_xact_commit_timestamp((xid % 4294967296)::text::xid);
  end if;
  -- Horizons list what is in the trail; a transaction that only altered a table is not.
  if at is null then
    return h.moment;
  end if;
  select * into h from holdfast.horizons g where g.id < h.id or h.id is null order by g.id desc limit 1;
  return greatest(at, h.until + interval '1 microsecond');
end $$;

-- Whether a transaction had committed by the cut, one that is not in the trail too.
create function holdfast.in_cut(xid bigint, cut holdfast.cut) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when pg_visible_in_snapshot(xid::text::xid8, cut.snapshot) or xid = any (cut.extra) then true
              else coalesce(holdfast.committed_at(xid) <= cut.moment, false) end
$$;

-- The transactions that committed after `low` and by `high`.
create function holdfast.commits(low timestamptz, high timestamptz) returns table (xid bigint, committed_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select x.xid, x.at
    from holdfast.horizons h, unnest(h.xids, h.committed) x(xid, at)
   where h.moment >= low and x.at > low and x.at <= high
     and h.id <= (select min(g.id) from holdfast.horizons g
                   where g.moment = (select min(f.moment) from holdfast.horizons f where f.moment >= high)
                   union all select max(g.id) from holdfast.horizons g order by 1 limit 1)
$$;

-- No change outside of the cut was written before this time. STABLE, so that it sees what the statement that asks sees: a
-- transaction that commits between two statements may have written long before.
create function holdfast.since(cut holdfast.cut) returns timestamptz
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
declare
  last   holdfast.horizons;
  known  timestamptz;
  fresh  timestamptz;
begin
  select min(h.first_at) into known from holdfast.horizons h
   where h.id > coalesce((select g.id from holdfast.horizons g
                           where pg_snapshot_xmax(g.snapshot)::text::bigint <= pg_snapshot_xmin(cut.snapshot)::text::bigint
                           order by pg_snapshot_xmax(g.snapshot)::text::bigint desc, g.id desc limit 1), 0);
  select * into last from holdfast.horizons h order by h.id desc limit 1;
  select min(c.at) into fresh from holdfast.trail c
   where c.xid >= pg_snapshot_xmin(last.snapshot)::text::bigint and not pg_visible_in_snapshot(c.xid::text::xid8, last.snapshot);
  return least(known, fresh, 'infinity');
end $$;

-- Whether a row of the trail, alias c, is in the cut. `xid < xmax` is there for the index.
create function holdfast.in_cut_sql(cut holdfast.cut) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('(c.xid < %s and pg_visible_in_snapshot(c.xid::text::xid8, %L::pg_snapshot)%s)',
                greatest(pg_snapshot_xmax(cut.snapshot)::text::bigint, (select max(x) + 1 from unnest(cut.extra) x)), cut.snapshot,
                case when cardinality(cut.extra) > 0 then format(' or c.xid < %s and c.xid = any (%L::bigint[])',
                  (select max(x) + 1 from unnest(cut.extra) x), cut.extra) end)
$$;

-- `narrow`: only one tenant's, user's or record's rows are asked for, and the index on those and the time finds them. With a bound
-- on xid beside it the planner would take the index on xid, and read what everyone has written since that was summarised.
create function holdfast.after_cut_sql(cut holdfast.cut, narrow boolean) returns text
language sql stable set search_path = pg_catalog, pg_temp set datestyle = 'ISO, YMD' set timezone = 'UTC' as $$
  select format('%sc.at >= (select holdfast.since((%L::timestamptz, %L::pg_snapshot, %L::bigint[])::holdfast.cut)) and not %s',
                case when not narrow then format('c.xid >= %s and ', pg_snapshot_xmin(cut.snapshot)) end,
                cut.moment, cut.snapshot, cut.extra, holdfast.in_cut_sql(cut))
$$;

-- In `high` and not in `low`. Nothing is written after it commits; a day allows for a clock that was set back.
create function holdfast.window_sql(low holdfast.cut, high holdfast.cut, narrow boolean) returns text
language sql stable set search_path = pg_catalog, pg_temp set datestyle = 'ISO, YMD' set timezone = 'UTC' as $$
  select format('%s and %s and c.at < %L::timestamptz', holdfast.after_cut_sql(low, narrow), holdfast.in_cut_sql(high), high.moment + interval '1 day')
$$;

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

-- Whether a tenant has rows now, or had.
create function holdfast.knows_tenant(tenant text) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  t      holdfast.tables;
  found  boolean := exists (select from holdfast.trail c where c.organization = tenant);
begin
  for t in select * from holdfast.tables x where x.dropped_at is null and x.rule #>> '{tenant,kind}' = 'column' order by x.id loop
    exit when found;
    begin
      execute format('select exists (select from %s t where %s)', t.oid::regclass, holdfast.tenant_sql(t, tenant, 't')) into found;
    exception when data_exception then
      found := false;  -- text that is no value of the column's type
    end;
  end loop;
  return found;
end $$;

-- The key's columns in order, as expressions over an alias, when the order of the index can be asked for by plain operators;
-- otherwise the record id.
create function holdfast.order_sql(t holdfast.tables, alias text, after text default null) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when bool_and(y.typnamespace = 'pg_catalog'::regnamespace or y.typtype = 'e')
    then case when after is null then string_agg(format('%s.%I', alias, a.attname), ', ' order by k.n)
              else format('(%s) > (%s)', string_agg(format('%s.%I', alias, a.attname), ', ' order by k.n),
                     string_agg(format('%L::%s', case when k.m = 1 then after else (case when k.m > 1 then after end)::jsonb ->> (k.n - 1)::int end,
                                       format_type(y.oid, -1)), ', ' order by k.n)) end
    else holdfast.record_sql(t.oid, t.rule -> 'key', alias) || ' collate "C"' || case when after is null then '' else format(' > %L', after) end end
    from (select k.n, k.attnum, count(*) over () as m from jsonb_array_elements_text(t.rule -> 'key') with ordinality k(attnum, n)) k
    join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum::int
    join pg_type y on y.oid = holdfast.base_type(a.atttypid)
$$;

-- The rows of a table at a cut, in its own types: live rows that have not changed since, and what the others were. `after` and
-- `most` page through them in the order of the key. `marked` adds a column that names those whose values were erased from history.
create function holdfast.as_of_sql(
  relation regclass, cut holdfast.cut, tenant text default null, record text default null, after text default null, most bigint default null,
  marked boolean default false)
returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  t       holdfast.tables := holdfast.protected(relation);
  states  text;
begin
  tenant := holdfast.scope(tenant);
  perform holdfast.check_reach(t, cut);
  states := holdfast.fill($sql$with {past}
  select t.*{none} from {live} and {own} and not exists (select from past_ends e where e.record = {record})
  union all
  select (p.r).*{names} from (
    select {typed} as r{which} from (select {known} as texts{erased} from past where texts is not null offset 0) q offset 0) p$sql$, jsonb_build_object(
    'none', case when marked then ', null::jsonb as "holdfast.redacted"' end, 'names', case when marked then ', p.redacted' end,
    'which', case when marked then ', q.redacted' end, 'erased', case when marked then ', holdfast.redacted_in(texts) as redacted' end,
    -- With the names beside them, nulls speak for themselves.
    'known', case when marked then 'texts || coalesce(holdfast.redacted_in(texts), ''{}'')'
                  else format('holdfast.without_redacted(%L, texts)', t.name) end,
    'past', holdfast.past_sql(t, cut, tenant, holdfast.equals_or_any_sql('c.record', record), num_nonnulls(tenant, record) > 0, 'past'),
    'live', case when record is null then t.oid::regclass || ' t where true' else holdfast.live_sql(t, quote_literal(record)) end,
    'own', holdfast.tenant_sql(t, tenant, 't'), 'record', holdfast.record_sql(t.oid, t.rule -> 'key', 't'),
    'typed', holdfast.typed_sql(t.oid, 'texts')));
  if after is null and most is null then
    return states;
  end if;
  return format('select x.* from (%s) x where %s order by %s limit %s', states,
                case when after is null then 'true' else holdfast.order_sql(t, 'x', after) end, holdfast.order_sql(t, 'x'),
                coalesce(most::text, 'all'));
end $$;

-- The records that differ between two cuts, as {column: text} before and after, in the order of the record id.
create function holdfast.diff_sql(
  relation regclass, low holdfast.cut, high holdfast.cut, tenant text default null, record text default null, after text default null)
returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  t       holdfast.tables := holdfast.protected(relation);
  narrow  boolean;
begin
  tenant := holdfast.scope(tenant);
  narrow := num_nonnulls(tenant, record) > 0;
  perform holdfast.check_reach(t, low);
  if low.moment > high.moment then
    raise exception 'the difference runs from % back to %', holdfast.iso(low.moment), holdfast.iso(high.moment)
      using errcode = 'HF019', hint = 'Give the earlier moment first.';
  end if;
  return holdfast.fill($sql$with picked as materialized (
    select distinct c.record from holdfast.trail c
     where c.table_id = {id} and c.record is not null and {mine} and {filter} and {window}
  ), {was}, {is_now}, both_rows as (
    select w.record, w.texts as before,
           case when n.record is not null then n.texts else (select {row} from {live} and {own}) end - {computed} as after
      from was w left join is_now n on n.record = w.record
  )
  select record, case when before is null then 'insert' when after is null then 'delete' else 'update' end as action, before, after,
         array(select k from jsonb_object_keys(coalesce(after, before)) k where after -> k is distinct from before -> k) as columns
    from both_rows where before is distinct from after order by record collate "C"$sql$, jsonb_build_object(
    'id', t.id, 'mine', holdfast.tenant_of_trail_sql(tenant), 'computed', quote_literal(holdfast.computed_later(t, low)) || '::text[]',
    'window', holdfast.window_sql(low, high, narrow),
    'filter', holdfast.equals_or_any_sql('c.record', record) || case when after is null then '' else format(' and c.record > %L', after) end,
    'was', holdfast.past_sql(t, low, tenant, 'c.record in (select record from picked)', narrow, 'was'),
    'is_now', holdfast.past_sql(t, high, tenant, 'c.record in (select record from picked)', narrow, 'is_now'),
    'row', holdfast.texts_sql(t.oid, 't'), 'live', holdfast.live_sql(t, 'w.record'), 'own', holdfast.tenant_sql(t, tenant, 't')));
end $$;

-- Changes as an auditor reads them. `condition` chooses which, over alias c, and may end in an order and a limit, so that the rest
-- is looked up for few.
create function holdfast.changes_sql(condition text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format($sql$select coalesce(c.before_seq, c.seq) as place, c.seq, c.at, c.xid, k.committed_at, c.table_id, b.name as table_name, c.record,
         case c.action when 'I' then 'insert' when 'U' then 'update' when 'D' then 'delete' else 'truncate' end as action,
         c.organization, c.user_id, a.user_email, a.session_id, a.ip_address, a.user_agent, c.changes, c.metadata
    from (select * from holdfast.trail c where %s) c
    join holdfast.tables b on b.id = c.table_id
    left join lateral (select holdfast.committed_at(c.xid) as committed_at) k on true
    left join lateral (select x.user_email, x.session_id, x.ip_address, x.user_agent
                         from holdfast.actors x where x.id = c.actor limit 1) a on true$sql$, condition)
$$;

create function holdfast.history_sql(table_id integer, record text, tenant text default null, tail text default '') returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select holdfast.changes_sql(format('c.table_id = %s and c.record = %L and %s %s', table_id, record,
                                     holdfast.tenant_of_trail_sql(holdfast.scope(tenant)), tail))
$$;

create function holdfast.activity_sql(user_id text, low holdfast.cut, high holdfast.cut, tenant text default null, tail text default '')
returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select holdfast.changes_sql(format('%s and %s and %s %s', holdfast.equals_or_any_sql('c.user_id', user_id), holdfast.tenant_of_trail_sql(own),
                                     holdfast.window_sql(low, high, num_nonnulls(own, user_id) > 0), tail))
    from holdfast.scope(tenant) own
$$;

create function holdfast.width(bucket text) returns interval
language plpgsql stable set search_path = pg_catalog, pg_temp set intervalstyle = 'postgres' as $$
begin
  return bucket::interval;
exception when data_exception then
  raise exception 'not a length of time: %', bucket using errcode = 'HF019', hint = 'For example 15 minutes, 1 hour, 1 day, 1 week, 1 month.';
end $$;

-- The beginning of the bucket that a moment falls into. Weeks begin on Monday.
create function holdfast.bucket(moment timestamptz, width interval, zone text) returns timestamptz
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  months  integer := extract(year from width) * 12 + extract(month from width);
  local   timestamp := moment at time zone zone;
  month   integer := extract(year from local) * 12 + extract(month from local) - 1;
begin
  if months > 0 then
    month := month - month % months;
    return make_timestamp(month / 12, month % 12 + 1, 1, 0, 0, 0) at time zone zone;
  end if;
  return date_bin(width, local, timestamp '2001-01-01') at time zone zone;
end $$;

create function holdfast.timeline_sql(
  width interval, low holdfast.cut, high holdfast.cut, tenant text default null, table_id integer default null, user_id text default null,
  zone text default 'UTC')
returns text
language plpgsql stable set search_path = pg_catalog, pg_temp set datestyle = 'ISO, YMD' set timezone = 'UTC' set intervalstyle = 'postgres' as $$
declare
  most    constant integer := 10000;
  months  integer := extract(year from width) * 12 + extract(month from width);
begin
  tenant := holdfast.scope(tenant);
  if width is null or width <= interval '0' or months <> 0 and width <> make_interval(months => months) then
    raise exception 'a bucket is a length of time, or months or years, not %', coalesce(width::text, 'null')
      using errcode = 'HF019', hint = 'For example 15 minutes, 1 hour, 1 day, 1 week, 1 month.';
  elsif low.moment > high.moment then
    raise exception 'the timeline runs from % back to %', holdfast.iso(low.moment), holdfast.iso(high.moment)
      using errcode = 'HF019', hint = 'Give the earlier moment first.';
  elsif extract(epoch from high.moment - low.moment) / extract(epoch from width) > most then
    raise exception 'there would be more than % buckets of % between % and %', most, width, holdfast.iso(low.moment), holdfast.iso(high.moment)
      using errcode = 'HF019', hint = 'Choose wider buckets, or a shorter time.';
  elsif not exists (select from pg_timezone_names n where n.name = zone) then
    raise exception 'not a time zone: %', zone using errcode = 'HF019', hint = 'For example Europe/Berlin.';
  end if;
  return holdfast.fill($sql$with done as (
    select c.xid, c.user_id, count(*) filter (where c.action = 'I') as inserts, count(*) filter (where c.action = 'U') as updates,
           count(*) filter (where c.action = 'D') as deletes
      from holdfast.trail c where {mine} and {filter} and c.action <> 'T' and {window} group by c.xid, c.user_id
  ), filled as (
    select holdfast.bucket(m.committed_at, {width}, {zone}) as bucket, sum(d.inserts) as inserts, sum(d.updates) as updates,
           sum(d.deletes) as deletes, count(distinct d.xid) as transactions, count(distinct d.user_id) as users
      from done d join holdfast.commits({low}, {high}) m on m.xid = d.xid group by 1
  )
  select s at time zone {zone} as bucket, coalesce(f.inserts, 0)::bigint as inserts, coalesce(f.updates, 0)::bigint as updates,
         coalesce(f.deletes, 0)::bigint as deletes, coalesce(f.transactions, 0) as transactions, coalesce(f.users, 0) as users
    from generate_series(holdfast.bucket({low}, {width}, {zone}) at time zone {zone}, {high} at time zone {zone}, {width}) s
    left join filled f on f.bucket = s at time zone {zone} order by s$sql$, jsonb_build_object(
    'mine', holdfast.tenant_of_trail_sql(tenant), 'window', holdfast.window_sql(low, high, num_nonnulls(tenant, user_id) > 0),
    'filter', holdfast.equals_or_any_sql('c.user_id', user_id) || case when table_id is null then '' else format(' and c.table_id = %s', table_id) end,
    'width', format('%L::interval', width), 'zone', quote_literal(zone),
    'low', format('%L::timestamptz', low.moment), 'high', format('%L::timestamptz', high.moment)));
end $$;

-- The record id of a key, given as texts in the order of the key's columns: as the trail spells it.
create function holdfast.record_of(t holdfast.tables, key text[]) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp set datestyle = 'ISO, YMD' set timezone = 'UTC' set intervalstyle = 'postgres'
  set extra_float_digits = 1 set bytea_output = 'hex' set lc_monetary = 'C' as $$
declare
  columns  text[] := array(select a.attname::text from jsonb_array_elements_text(t.rule -> 'key') with ordinality k(attnum, n)
                             join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum::int order by n);
  record   text;
begin
  if columns = '{}' then
    raise exception '% has no key, so its records cannot be told apart', t.name using errcode = 'HF015', hint = 'Give it a primary key.';
  elsif cardinality(key) is distinct from cardinality(columns) or array_position(key, null) is not null then
    raise exception 'the key of % is (%), which is not what was given: %', t.name, array_to_string(columns, ', '), coalesce(array_to_string(key, ', ', 'null'), 'null')
      using errcode = 'HF016';
  end if;
  begin
    execute format('select %s from (select %s) x', holdfast.record_sql(t.oid, t.rule -> 'key', 'x'), (
      select string_agg(format('%L::%s as %I', key[n], format_type(holdfast.base_type(a.atttypid), a.atttypmod), columns[n]), ', ' order by n)
        from generate_subscripts(columns, 1) n join pg_attribute a on a.attrelid = t.oid and a.attname = columns[n])) into record;
  exception when data_exception then
    raise exception 'not a key of %: %', t.name, sqlerrm using errcode = 'HF016';
  end;
  return record;
end $$;

create function holdfast.table_of(row_type regtype) returns regclass
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  relation  regclass := (select t.typrelid from pg_type t where t.oid = row_type and t.typrelid <> 0);
begin
  if relation is null then
    raise exception '% is not the row type of a table', row_type using errcode = 'HF010', hint = 'Name the table by its row type: null::public.invoices.';
  end if;
  return relation;
end $$;

-- For applications and auditors ------------------------------------------------------------------------------------------

-- The rows of a table as they were: of everyone, of a tenant, or one record.
--   select * from holdfast.as_of(null::public.invoices, '2026-03-01 12:00', tenant => 'acme')
create function holdfast.as_of(row_type anyelement, moment timestamptz, tenant text default null, key text[] default null)
returns setof anyelement
language plpgsql set search_path = pg_catalog, pg_temp set datestyle = 'ISO, YMD' set timezone = 'UTC' set intervalstyle = 'postgres'
  set extra_float_digits = 1 set bytea_output = 'hex' set lc_monetary = 'C' set jit = off as $$
declare
  relation  regclass := holdfast.table_of(pg_typeof(row_type));
  record    text := case when key is not null then holdfast.record_of(holdfast.protected(relation), key) end;
begin
  return query execute holdfast.as_of_sql(relation, holdfast.resolve_cut(moment), tenant, record);
end $$;

-- What differs between two moments, one row per record that does.
create function holdfast.diff(row_type anyelement, low timestamptz, high timestamptz default null, tenant text default null)
returns table (action text, record text, before anyelement, after anyelement, columns text[])
language plpgsql set search_path = pg_catalog, pg_temp set datestyle = 'ISO, YMD' set timezone = 'UTC' set intervalstyle = 'postgres'
  set extra_float_digits = 1 set bytea_output = 'hex' set lc_monetary = 'C' set jit = off as $$
declare
  relation  regclass := holdfast.table_of(pg_typeof(row_type));
begin
  return query execute format(
    'select x.action, x.record, case when x.before is not null then %s end, case when x.after is not null then %s end, x.columns
       from (select y.action, y.record, y.columns, holdfast.without_redacted(%3$L, y.before) as before,
                    holdfast.without_redacted(%3$L, y.after) as after from (%4$s) y offset 0) x',
    holdfast.typed_sql(relation, 'x.before'), holdfast.typed_sql(relation, 'x.after'), (holdfast.protected(relation)).name,
    holdfast.diff_sql(relation, holdfast.resolve_cut(low), holdfast.resolve_cut(high), tenant));
end $$;

-- What happened to one record, oldest first: what each change replaced, when and by whom, and until when it stood. Columns are
-- named as they were then, those that were dropped since included.
create function holdfast.history(relation regclass, variadic key text[])
returns table (seq bigint, committed_at timestamptz, until timestamptz, action text, tenant text, user_id text, user_email text,
               session_id text, ip_address inet, user_agent text, changes jsonb, metadata jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  t  holdfast.tables := holdfast.protected(relation);
begin
  return query execute format(
    'select h.seq, h.committed_at, lead(h.committed_at) over w, h.action, h.organization, h.user_id, h.user_email, h.session_id,
            h.ip_address, h.user_agent, h.changes, h.metadata
       from (%s) h window w as (order by h.place, h.seq desc) order by h.place, h.seq desc',
    holdfast.history_sql(t.id, holdfast.record_of(t, key)));
end $$;

-- One record after each of its changes, newest first, in the table's own type. `version` is null where it was deleted.
create function holdfast.versions(row_type anyelement, variadic key text[])
returns table (seq bigint, committed_at timestamptz, until timestamptz, action text, user_id text, version anyelement)
language plpgsql stable set search_path = pg_catalog, pg_temp set datestyle = 'ISO, YMD' set timezone = 'UTC' set intervalstyle = 'postgres'
  set extra_float_digits = 1 set bytea_output = 'hex' set lc_monetary = 'C' as $$
declare
  t       holdfast.tables := holdfast.protected(holdfast.table_of(pg_typeof(row_type)));
  record  text := holdfast.record_of(t, key);
  tenant  text := holdfast.scope(null);
  state   jsonb;
  wall    holdfast.table_versions;
  origin  holdfast.cut := (null, '1:1:', '{}');
  change  record;
begin
  execute format('select %s from %s and %s', holdfast.texts_sql(t.oid, 't'), holdfast.live_sql(t, quote_literal(record)),
                 holdfast.tenant_sql(t, tenant, 't')) into state;
  select * into wall from holdfast.table_versions v where v.table_id = t.id and v.barrier is not null order by v.version desc limit 1;
  for change in execute format(
    'select h.*, lead(h.committed_at) over w as until, (select jsonb_object_agg(x.name, x.value) from (
              select %s as name, e.value from (select h.seq) c, jsonb_each(h.changes) e) x where x.name is not null) as carried
       from (%s) h window w as (order by h.place, h.seq desc) order by h.place desc, h.seq',
    holdfast.name_sql(t, 'e.key'), holdfast.history_sql(t.id, record, tenant))
  loop
    if change.seq < wall.from_seq then
      raise notice 'older versions are in holdfast.history: %', wall.barrier;
      exit;
    end if;
    if change.action <> 'delete' and state is null then
      if row_security_active(t.oid) then
        exit;
      end if;
      perform holdfast.broken(t.name, record);
    end if;
    return query execute format('select $1, $2, $3, $4, $5, case when $6 is not null then %s end', holdfast.typed_sql(t.oid, '$6'))
      using change.seq, change.committed_at, change.until, change.action, change.user_id,
            case when change.action <> 'delete' then holdfast.without_redacted(t.name, state) - holdfast.computed_later(t, origin) end;
    state := case change.action
      when 'insert' then null
      when 'delete' then holdfast.came_later(t, origin) || change.carried
      else state || coalesce((select jsonb_object_agg(e.key, case when jsonb_typeof(e.value) = 'array' then e.value -> 0 else e.value end)
                           from jsonb_each(change.carried) e), '{}') end;
  end loop;
end $$;

-- What a user did, newest first; null: everyone.
create function holdfast.activity(user_id text, low timestamptz default null, high timestamptz default null, tenant text default null)
returns table (seq bigint, committed_at timestamptz, table_name text, record text, action text, tenant_id text, user_name text, user_email text,
               session_id text, ip_address inet, user_agent text, changes jsonb, metadata jsonb)
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  return query execute format(
    'select h.seq, h.committed_at, h.table_name, h.record, h.action, h.organization, h.user_id, h.user_email, h.session_id, h.ip_address,
            h.user_agent, h.changes, h.metadata from (%s) h order by h.at desc, h.seq desc',
    holdfast.activity_sql(user_id, holdfast.beginning(low), holdfast.resolve_cut(high), tenant));
end $$;

-- How much was changed, in buckets of time, empty ones included: for a chart.
create function holdfast.timeline(
  bucket interval, low timestamptz default null, high timestamptz default null, tenant text default null, relation regclass default null,
  zone text default 'UTC')
returns table (begins timestamptz, inserts bigint, updates bigint, deletes bigint, transactions bigint, users bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  return query execute holdfast.timeline_sql(bucket, holdfast.beginning(low), holdfast.resolve_cut(high), tenant,
    case when relation is not null then (holdfast.protected(relation)).id end, null, zone);
end $$;

-- The cut at a moment; null: where history begins.
create function holdfast.beginning(moment timestamptz) returns holdfast.cut
language sql security definer set search_path = pg_catalog, pg_temp as $$
  select holdfast.resolve_cut(coalesce(moment, (select min(h.moment) from holdfast.horizons h)))
$$;

-- present() is left out: it is called by the functions above and nobody else has a use for it.
revoke all on function holdfast.present() from public;
grant execute on function
  holdfast.base_type(oid), holdfast.text_sql(oid, text), holdfast.equals_sql(text, oid, text, oid),
  holdfast.record_sql(oid, jsonb, text), holdfast.join_sql(oid, text, oid, text, jsonb), holdfast.fill(text, jsonb) to public;
