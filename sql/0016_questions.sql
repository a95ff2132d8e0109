-- The questions of time travel. Each is one statement over the trail and the live rows, written out as text by a `…_sql` function,
-- so that an application can ask it in SQL and Holdfast itself can stream it through a cursor.

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

-- What the statements call is called by the one who asks.
grant execute on function
  holdfast.base_type(oid), holdfast.text_sql(oid, text), holdfast.equals_sql(text, oid, text, oid),
  holdfast.record_sql(oid, jsonb, text), holdfast.join_sql(oid, text, oid, text, jsonb), holdfast.fill(text, jsonb) to public;
