-- A trigger function that finds that the schema has moved on under it: where there are no event triggers, or where they were
-- switched off. The application's write goes through and is captured, and the function is generated again.

-- Names and types of a relation's columns, by attribute number: of now, whatever the transaction's snapshot is, as the rows
-- that a trigger gets are. pg_identify_object and the parser ask the system's caches.
create function holdfast.columns_now(relation oid) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  names  text[] := '{}';
  live   text;
  types  oid[];
  name   text;
begin
  loop
    name := (pg_identify_object('pg_class'::regclass, relation, cardinality(names) + 1)).identity;
    exit when name is null;
    names := names || name;
  end loop;
  select string_agg(format('pg_typeof(r.%I)::oid', (parse_ident(n))[3]), ', ' order by i) into live
    from unnest(names) with ordinality x(n, i) where (parse_ident(n))[3] !~ '^\.{8}pg\.dropped\.';
  if live is not null then
    execute format('select array[%s] from (select (null::%s).*) r', live, relation::regclass) into types;
  end if;
  return jsonb_build_array(names, types);
end $$;

-- A digest of all that a table's functions were generated from: its shape and key, the columns that lead to its owners, and
-- how foreign keys bind. In two halves: of the second the catalog must be asked, with the transaction's snapshot.
create function holdfast.form(table_id integer) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  t  holdfast.tables;
begin
  select * into strict t from holdfast.tables where id = table_id;
  return (select md5(jsonb_agg(jsonb_build_array(r::bigint, holdfast.columns_now(r)) order by r)::text)
            from unnest(holdfast.relations_of(table_id)) r)
    || ' ' || md5(jsonb_build_array(
      holdfast.shape(t.oid), holdfast.key_of(t.oid), holdfast.storage(t.oid) -> 'columns', to_jsonb(holdfast.leaves_of(t.oid)),
      (select jsonb_agg(jsonb_build_array(c.id, p.id, what, holdfast.binding(c.oid, p.oid, c.rule -> what)) order by c.id, what)
         from holdfast.tables c, unnest(array['tenant', 'person']) what, holdfast.tables p
        where c.dropped_at is null and p.id = (c.rule -> what ->> 'parent')::int and table_id in (c.id, p.id)))::text);
end $$;

-- The table and those that it reaches its tenant and person through.
create function holdfast.relations_of(table_id integer) returns oid[]
language sql stable set search_path = pg_catalog, pg_temp as $$
  with recursive up(id) as (
    select table_id
    union
    select (t.rule -> what ->> 'parent')::int from up join holdfast.tables t on t.id = up.id, unnest(array['tenant', 'person']) what
     where t.rule -> what ? 'parent'
  )
  select array(select t.oid from up join holdfast.tables t on t.id = up.id where t.oid is not null order by 1)
$$;

-- Whether the functions of a table are those of its present form. IMMUTABLE so that it is asked when a session plans the
-- trigger's first condition, and not again: afterwards it is a constant and costs nothing. PostgreSQL plans anew what names a
-- relation (as a constant of type oid, in `relations`) after every change to that relation.
create function holdfast.is_current(table_id integer, form text, relations oid[]) returns boolean
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  present  text := holdfast.form(table_id);
begin
  return case when current_setting('transaction_isolation') = 'read committed' then present = form
              else split_part(present, ' ', 1) = split_part(form, ' ', 1) end;
exception when others then
  return false;     -- a relation that is gone, a column whose type is
end $$;

create function holdfast.ready_sql(t holdfast.tables) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select format('holdfast.is_current(%s, %L, array[%s])', t.id, holdfast.form(t.id),
                (select string_agg(format('%L::oid', r), ', ') from unnest(holdfast.relations_of(t.id)) r))
$$;

-- Called by the trigger: notes the new shape and writes the functions anew. Other writers of the table wait here until this
-- transaction has ended, so that the version's first change is exactly known.
create function holdfast.catch_up(table_id integer) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  t  holdfast.tables;
begin
  select * into strict t from holdfast.tables where id = table_id for update;
  if (select jsonb_agg(format('%I', c ->> 'name') order by (c ->> 'attnum')::int) from jsonb_array_elements(holdfast.shape(t.oid)) c)
     is distinct from
     (select jsonb_agg(format('%I', (parse_ident(n))[3]) order by i) from jsonb_array_elements_text(holdfast.columns_now(t.oid) -> 0) with ordinality x(n, i)
       where (parse_ident(n))[3] !~ '^\.{8}pg\.dropped\.') then
    raise serialization_failure using
      message = format('could not serialize access: the columns of %s were changed since this transaction began', t.name),
      hint = 'Run it again.';
  end if;
  perform holdfast.follow(table_id, false, true);
end $$;

-- Where no event trigger watches: notes schema changes after which nobody has written yet. Takes no lock on a table; writers
-- that come meanwhile wait as they do for each other. What needs such a lock is left to `holdfast install`.
create function holdfast.follow_unwatched() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  t  record;
begin
  if not exists (select from pg_event_trigger e where e.evtname = 'holdfast_ddl' and e.evtenabled <> 'D') then
    for t in select p.id from holdfast.tables p
              where p.dropped_at is null and exists (select from pg_class c where c.oid = p.oid) and p.form is distinct from holdfast.form(p.id)
              order by p.id loop
      perform holdfast.follow(t.id, false, true);
    end loop;
  end if;
end $$;

-- The record id of a row given as text; as holdfast.record_sql writes it.
create function holdfast.record_of_row(t holdfast.tables, row_text jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case count(*) when 0 then null when 1 then min(v) else jsonb_agg(v order by n)::text end
    from (select n, row_text ->> a.attname::text as v from jsonb_array_elements_text(t.rule -> 'key') with ordinality k(attnum, n)
            join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum::int) x
$$;

-- What the generated function does, for any table and slowly: for the one row with which it found itself out of date. Its own
-- expressions may not fit the row any more.
create function holdfast.capture(
  table_id integer, op text, relation oid, old_row record, new_row record, old_version tid, made xid, new_version tid,
  fenced text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  t           holdfast.tables;
  part        oid;
  was         jsonb;
  is_now      jsonb;
  old_record  text;
  new_record  text;
  old_owner   text[];
  new_owner   text[];
  delta       jsonb;
  next        holdfast.trail;
  before      bigint;
  inserted    constant boolean := coalesce(current_setting('holdfast.inserted', true) <> '', false);
begin
  select * into strict t from holdfast.tables where id = table_id;
  part := case when (select relkind = 'p' from pg_class where oid = t.oid) then relation end;
  if op <> 'INSERT' then
    execute format('select %s from (select ($1::%s).*) r', holdfast.row_sql(t.oid, 'r'), relation::regclass) into was using old_row::text;
    old_record := holdfast.record_of_row(t, was);
    old_owner := array[holdfast.reach(t.id, 'tenant', was), holdfast.reach(t.id, 'person', was)];
  end if;
  if op <> 'DELETE' then
    execute format('select %s from (select ($1::%s).*) r', holdfast.row_sql(t.oid, 'r'), relation::regclass) into is_now using new_row::text;
    new_record := holdfast.record_of_row(t, is_now);
    new_owner := array[holdfast.reach(t.id, 'tenant', is_now), holdfast.reach(t.id, 'person', is_now)];
    next := holdfast.successor(t.id, new_record, new_version, part);
    before := coalesce(next.before_seq, next.seq);
  end if;

  perform holdfast.refuse_in_maintenance(old_owner[1], fenced), holdfast.refuse_in_maintenance(new_owner[1], fenced);
  if op = 'DELETE' then
    if inserted then
      before := holdfast.delete_before(t.id, old_record, old_version, part, holdfast.is_own(made), t.oid);
    end if;
    perform holdfast.log(t.id, 'D', old_owner[1], old_record, old_owner[2], old_version, part, was, null, before);
    if current_setting('holdfast.awaits', true) <> '' then
      perform holdfast.settle(t.id, old_record, old_owner[1], old_owner[2], null);
    end if;
    perform holdfast.carry(t.id, was, old_owner[1], null, old_owner[2], null, 'D');
  elsif op = 'INSERT' then
    perform set_config('holdfast.inserted', '1', true);
    perform holdfast.log(t.id, 'I', new_owner[1], new_record, new_owner[2], new_version, part, is_now, null, before);
    perform holdfast.carry(t.id, is_now, null, new_owner[1], null, new_owner[2], 'I');
  elsif old_record is distinct from new_record or old_owner is distinct from new_owner then
    perform holdfast.log_move(t.id, old_record, new_record, old_owner, new_owner, old_version, new_version, part, was, is_now,
      case when inserted then holdfast.delete_before(t.id, old_record, old_version, part, holdfast.is_own(made), t.oid) end, before);
    perform set_config('holdfast.inserted', '1', true);
    perform holdfast.carry(t.id, is_now, old_owner[1], new_owner[1], old_owner[2], new_owner[2], 'U');
  else
    select jsonb_object_agg(key, jsonb_build_array(was -> key, value)) into delta
      from jsonb_each(is_now) where value is distinct from was -> key;
    if delta is not null or holdfast.is_own(made) and holdfast.is_link(t.id, new_record, old_version) then
      perform holdfast.log(t.id, 'U', new_owner[1], new_record, new_owner[2], old_version, part, coalesce(delta, '{}'), null, before);
    end if;
  end if;
end $$;

do $$
declare
  f  regprocedure;
begin
  for f in select p.oid from pg_proc p where p.pronamespace = 'holdfast'::regnamespace and p.proname in (
             'columns_now', 'form', 'relations_of', 'is_current', 'ready_sql', 'catch_up',
             'follow_unwatched', 'record_of_row', 'capture') loop
    execute format('revoke all on function %s from public', f);
  end loop;
end $$;
