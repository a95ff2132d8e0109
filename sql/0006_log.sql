-- What the generated trigger functions call when a change is out of the ordinary. An ordinary change is one INSERT, written
-- out in the trigger function itself.

-- The name of a column, quoted.
create function holdfast.column_sql(relation oid, attnum integer) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select quote_ident(a.attname) from pg_attribute a where a.attrelid = relation and a.attnum = column_sql.attnum and not a.attisdropped
$$;

-- Every column of a row as text: {column: text or null}. Virtual columns (18) have no value of their own.
create function holdfast.row_sql(relation oid, alias text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select 'jsonb_object(array[' || coalesce(string_agg(
           format('%L, %s', a.attname, holdfast.text_sql(a.atttypid, format('%s.%I', alias, a.attname))), ', ' order by a.attnum), '')
         || ']::text[])'
    from pg_attribute a where a.attrelid = relation and a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v'
$$;

-- The record id: the key's text, or a JSON array of texts where it has several columns. core/history/record.ts reads it.
create function holdfast.record_sql(relation oid, key jsonb, alias text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case count(*) when 0 then 'null::text' when 1 then min(t)
              else 'jsonb_build_array(' || string_agg(t, ', ' order by n) || ')::text' end
    from (select n, holdfast.text_sql(a.atttypid, format('%s.%I', alias, a.attname)) as t
            from jsonb_array_elements_text(key) with ordinality k(attnum, n)
            join pg_attribute a on a.attrelid = relation and a.attnum = k.attnum::int) x
$$;

-- The rows of `parent` that a row's foreign key points to, as a condition between two aliases.
create function holdfast.join_sql(child oid, child_alias text, parent oid, parent_alias text, reach jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select string_agg(holdfast.equals_sql(format('%s.%I', parent_alias, p.attname), p.atttypid,
                                        format('%s.%I', child_alias, c.attname), c.atttypid), ' and ' order by n)
    from jsonb_array_elements_text(reach -> 'columns') with ordinality k(attnum, n)
    join pg_attribute c on c.attrelid = child and c.attnum = k.attnum::int
    join pg_attribute p on p.attrelid = parent and p.attnum = (reach -> 'parentColumns' ->> (n - 1)::int)::int
$$;

-- Whether everything that a rule reaches its tenant or person (`what`) through is still there, up to the last parent. What has
-- gone is noted in the rule as lost, until the next installation.
create function holdfast.reach_stands(t holdfast.tables, what text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select not coalesce(t.rule -> 'lost' ? what, false)
     and not exists (
    select from (
      select t.oid as relation, c from jsonb_path_query(t.rule -> what, '$.column') c
      union all select t.oid, c from jsonb_path_query(t.rule -> what, '$.columns[*]') c
      union all select p.oid, c from holdfast.tables p, jsonb_path_query(t.rule -> what, '$.parentColumns[*]') c
                 where p.id = (t.rule -> what ->> 'parent')::int) x
     where not exists (select from pg_attribute a where a.attrelid = x.relation and a.attnum = x.c::int and not a.attisdropped))
     and not exists (select from holdfast.tables p where p.id = (t.rule -> what ->> 'parent')::int and not holdfast.reach_stands(p, what))
$$;

-- A row's tenant or person (`what`) as a text expression over `alias`; a path of foreign keys becomes nested subqueries.
create function holdfast.reach_sql(table_id integer, what text, alias text, depth integer default 1) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  own     holdfast.tables;
  parent  holdfast.tables;
  reach   jsonb;
begin
  select * into strict own from holdfast.tables t where t.id = table_id;
  reach := own.rule -> what;
  if reach is null or depth > 32 or not holdfast.reach_stands(own, what) then
    return 'null::text';
  elsif reach ->> 'kind' = 'column' then
    return format('%s.%s::text', alias, holdfast.column_sql(own.oid, (reach ->> 'column')::int));
  end if;
  select * into strict parent from holdfast.tables t where t.id = (reach ->> 'parent')::int;
  return format('(select %s from %s p%s where %s)', holdfast.reach_sql(parent.id, what, 'p' || depth, depth + 1),
                parent.oid::regclass, depth, holdfast.join_sql(own.oid, alias, parent.oid, 'p' || depth, reach));
end $$;

-- Writes one change. The triggers' fast path is the same INSERT, without the columns that are null there.
create function holdfast.log(
  table_id integer, action "char", organization text, record text, person text, version tid, part oid, changes jsonb,
  metadata jsonb default null, before_seq bigint default null) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  seq    bigint := nextval('holdfast.seq');
  actor  text := current_setting('holdfast.actor', true);
begin
  -- A change that waits for its owner is checked when it has one.
  if current_setting('holdfast.guard_tenant', true) <> '' and not coalesce(metadata #> '{awaits,tenant}' is not null, false) then
    perform holdfast.guard(table_id, record, organization);
  end if;
  insert into holdfast.trail values (
    seq, before_seq, txid_current(), greatest(clock_timestamp(), now()), table_id, action, organization, record, person,
    nullif(substr(actor, 37), ''), nullif(left(actor, 36), '')::uuid, version, part, changes, metadata);
  if metadata ? 'awaits' then
    perform holdfast.wait(table_id, record, seq, metadata -> 'awaits');
  end if;
  return seq;
end $$;

-- The second fence of a tenant's restore: whatever else goes wrong, its transaction cannot change a row of another tenant.
create function holdfast.guard(table_id integer, record text, organization text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  allowed  text := current_setting('holdfast.guard_tenant', true);
begin
  if allowed <> '' and organization is distinct from allowed then
    raise exception 'record % of table % belongs to tenant %, not to %', coalesce(record, '?'),
      (select t.name from holdfast.tables t where t.id = table_id), coalesce(organization, '(none)'), allowed
      using errcode = 'HF001';
  end if;
end $$;

-- The change that this transaction logged first among those that came after the tuple `version` was made: asked by a trigger
-- that fires late, when nested statements have changed its row again. Null in the ordinary case.
create function holdfast.successor(table_id integer, record text, version tid, part oid) returns holdfast.trail
language sql stable set search_path = pg_catalog, pg_temp as $$
  select t.* from holdfast.trail t
   where t.table_id = successor.table_id and t.record = successor.record and t.at >= now() and t.xid = txid_current()
     and t.row_version = version and t.row_table is not distinct from part and t.action in ('U', 'D')
   order by coalesce(t.before_seq, t.seq) limit 1
$$;

-- Before which change a DELETE of the tuple `version` belongs, when this transaction has inserted rows into the table. Its
-- key may have been given to a new row by a nested statement, whose change was then logged first.
create function holdfast.delete_before(table_id integer, record text, version tid, part oid, own boolean, relation regclass) returns bigint
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  change   record;
  alive    boolean := null;   -- after the change before; null at the start
  passed   boolean := false;  -- the INSERT that made the tuple lies behind
  living   boolean;
  logged   boolean := exists (   -- that this transaction inserted it, or that it moved with its parent
    select from holdfast.trail t
     where t.table_id = delete_before.table_id and t.record = delete_before.record and t.at >= now() and t.xid = txid_current()
       and t.action = 'I' and t.row_version = version and t.row_table is not distinct from part);
begin
  for change in
    select t.action, t.row_version, t.row_table, coalesce(t.before_seq, t.seq) as place from holdfast.trail t
     where t.table_id = delete_before.table_id and t.record = delete_before.record and t.at >= now() and t.xid = txid_current()
     order by coalesce(t.before_seq, t.seq), t.seq desc
  loop
    if not own and not logged then
      return change.place;      -- it deletes what stood before the transaction began, so it comes before all of them
    elsif change.action = 'I' and change.row_version = version and change.row_table is not distinct from part then
      passed := true;
    elsif change.action = 'I' and (passed or alive) then
      return change.place;      -- a row is inserted where one still stands: the missing DELETE is this one
    elsif change.action = 'I' and alive is null then
      execute format('select exists (select from %s where ctid = $1)', coalesce(change.row_table::regclass, relation))
        into living using change.row_version;
      if living then
        return change.place;
      end if;
    end if;
    alive := change.action <> 'D';
  end loop;
  return null;
end $$;

-- Whether a tuple was made by this transaction or a savepoint of it. A tuple holds 32 bits of the xid; one that was made by
-- another, later transaction is visible only when that one is over.
create function holdfast.is_own(made xid) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  own    constant bigint := txid_current();
  ahead  constant bigint := (made::text::bigint - own % 4294967296 + 4294967296) % 4294967296;
begin
  if ahead = 0 or ahead >= 2147483648 then
    return ahead = 0;
  end if;
  begin
    return coalesce(pg_xact_status((own + ahead)::text::xid8) = 'in progress', false);
  exception when invalid_parameter_value then
    return false;   -- in the future: the tuple was frozen more than 2^31 transactions ago, and still shows its old xid
  end;
end $$;

-- Whether an UPDATE that changes nothing must be logged all the same: a change that is still to be logged made the tuple, and
-- finds its place in the order through this one.
create function holdfast.is_link(table_id integer, record text, version tid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce((
    select not (t.action = 'I' and t.row_version = version) from holdfast.trail t
     where t.table_id = is_link.table_id and t.record = is_link.record and t.at >= now() and t.xid = txid_current()
     order by t.seq desc limit 1), true)
$$;

-- The same as reach_sql, step by step, for a row (as text) whose parents may be gone: a cascade deletes the parent first, and
-- what it was stands in the trail.
create function holdfast.reach(table_id integer, what text, row_text jsonb) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  own        holdfast.tables;
  parent     holdfast.tables;
  reach      jsonb;
  condition  text;
  past       text;
  found_row  jsonb;
  gone       record;
begin
  select * into own from holdfast.tables t where t.id = table_id;
  reach := own.rule -> what;
  if reach is null or not holdfast.reach_stands(own, what) then
    return null;
  elsif reach ->> 'kind' = 'column' then
    return row_text ->> (select a.attname::text from pg_attribute a where a.attrelid = own.oid and a.attnum = (reach ->> 'column')::int);
  end if;
  select * into parent from holdfast.tables t where t.id = (reach ->> 'parent')::int;
  select string_agg(holdfast.equals_sql(format('p.%I', p.attname), p.atttypid,
                      format('($1 ->> %L)::%s', c.attname, format_type(c.atttypid, c.atttypmod)), c.atttypid), ' and '),
         string_agg(holdfast.equals_sql(format('(t.changes ->> %L)::%s', p.attname, format_type(p.atttypid, p.atttypmod)), p.atttypid,
                      format('($1 ->> %L)::%s', c.attname, format_type(c.atttypid, c.atttypmod)), c.atttypid), ' and ')
    into condition, past
    from jsonb_array_elements_text(reach -> 'columns') with ordinality k(attnum, n)
    join pg_attribute c on c.attrelid = own.oid and c.attnum = k.attnum::int
    join pg_attribute p on p.attrelid = parent.oid and p.attnum = (reach -> 'parentColumns' ->> (n - 1)::int)::int;
  execute format('select %s from %s p where %s', holdfast.row_sql(parent.oid, 'p'), parent.oid::regclass, condition)
    into found_row using row_text;
  if found_row is not null then
    return holdfast.reach(parent.id, what, found_row);
  end if;
  execute format('select t.organization, t.person from holdfast.trail t
                   where t.xid = txid_current() and t.at >= now() and t.table_id = %s and t.action = ''D'' and %s
                   order by t.seq desc limit 1', parent.id, past)
    into gone using row_text;
  return case what when 'tenant' then gone.organization else gone.person end;
end $$;

-- Changes of running transactions whose parent was deleted but is not logged yet; `what` is tenant or person. Not an index on
-- the trail: every change would pay for it. What a crash would lose here was rolled back with it.
create unlogged table holdfast.waiting (
  xid            bigint not null,
  parent_id      integer not null,
  parent_record  text collate "C" not null,
  what           text not null,
  table_id       integer not null,
  record         text collate "C",
  seq            bigint not null
);
create index waiting_parent on holdfast.waiting (xid, parent_id, parent_record);
alter table holdfast.waiting enable row level security;
alter table holdfast.waiting force row level security;
create policy installer on holdfast.waiting to current_user using (true) with check (true);

-- `awaits`: {what: [parent's table id, parent's record]}.
create function holdfast.wait(table_id integer, record text, seq bigint, awaits jsonb) returns void
language sql set search_path = pg_catalog, pg_temp as $$
  insert into holdfast.waiting select txid_current(), (w.value ->> 0)::int, w.value ->> 1, w.key, table_id, record, seq from jsonb_each(awaits) w
$$;

-- Metadata of a change whose parent this transaction deleted but has not logged yet.
create function holdfast.awaiting(awaits jsonb) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if awaits is null then
    return null;
  end if;
  perform set_config('holdfast.awaits', '1', true);
  return jsonb_build_object('awaits', awaits);
end $$;

-- A deleted parent is logged now: those of its children that were logged before it get their owner, or wait on for what the
-- parent itself waits for.
create function holdfast.settle(parent_id integer, record text, organization text, person text, awaits jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  child  record;
begin
  for child in
    delete from holdfast.waiting w
     where w.xid = txid_current() and w.parent_id = settle.parent_id and w.parent_record = settle.record
     returning w.what, w.table_id, w.record, w.seq
  loop
    if child.what = 'tenant' and current_setting('holdfast.guard_tenant', true) <> '' and not coalesce(awaits ? 'tenant', false) then
      perform holdfast.guard(child.table_id, child.record, settle.organization);
    end if;
    update holdfast.trail c
       set organization = case when child.what = 'tenant' then settle.organization else c.organization end,
           person = case when child.what = 'person' then settle.person else c.person end,
           metadata = nullif(case when awaits ? child.what then jsonb_set(c.metadata, array['awaits', child.what], awaits -> child.what)
                                  when c.metadata -> 'awaits' = jsonb_build_object(child.what, c.metadata -> 'awaits' -> child.what)
                                  then c.metadata - 'awaits'
                                  else c.metadata #- array['awaits', child.what] end, '{}')
     where c.table_id = child.table_id and (c.record = child.record or child.record is null and c.record is null)
       and c.at >= now() and c.seq = child.seq;
    if awaits ? child.what then
      perform holdfast.wait(child.table_id, child.record, child.seq, jsonb_build_object(child.what, awaits -> child.what));
    end if;
  end loop;
end $$;

-- How a foreign key binds: 'strict' (a child's parent is there whenever a statement has ended), 'late' (the parent may come
-- after the child: deferrable) or 'loose' (no such key: either may be missing). A session that checks no keys is not considered.
create function holdfast.binding(child oid, parent oid, reach jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce((
    select case when to_jsonb(c) ->> 'conenforced' = 'false' then 'loose'
                when not c.condeferrable then 'strict' when c.confdeltype = 'a' then 'loose' else 'late' end
      from pg_constraint c
     where c.conrelid = child and c.confrelid = parent and c.contype = 'f'
       and to_jsonb(c.conkey) = reach -> 'columns' and to_jsonb(c.confkey) = reach -> 'parentColumns'
     limit 1), 'loose')
$$;

-- The error that PostgreSQL raises for a foreign key without its parent, raised here: see holdfast.lookup_sql. Not when keys
-- are not checked at all, or the key has been dropped since.
create function holdfast.no_parent(table_id integer, what text, row_text jsonb) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  key  record;
begin
  if current_setting('session_replication_role') = 'replica' then
    return;
  end if;
  select c.conname, r.relname as child, n.nspname as schema, p.relname as parent,
         (select string_agg(a.attname, ', ' order by k.n) from unnest(c.conkey) with ordinality k(attnum, n)
            join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum) as names,
         (select string_agg(row_text ->> a.attname::text, ', ' order by k.n) from unnest(c.conkey) with ordinality k(attnum, n)
            join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum) as values
    into key
    from holdfast.tables t join pg_class r on r.oid = t.oid join pg_namespace n on n.oid = r.relnamespace
    join holdfast.tables q on q.id = (t.rule -> what ->> 'parent')::int join pg_class p on p.oid = q.oid
    join pg_constraint c on c.conrelid = t.oid and c.confrelid = q.oid and c.contype = 'f'
     and to_jsonb(c.conkey) = t.rule -> what -> 'columns' and to_jsonb(c.confkey) = t.rule -> what -> 'parentColumns'
     and not c.condeferrable
   where t.id = table_id limit 1;
  if not found then
    return;
  end if;
  raise foreign_key_violation using
    message = format('insert or update on table "%s" violates foreign key constraint "%s"', key.child, key.conname),
    detail = format('Key (%s)=(%s) is not present in table "%s".', key.names, key.values, key.parent),
    schema = key.schema, table = key.child, constraint = key.conname;
end $$;

-- The last transaction that moved rows to another tenant with their parent. A sequence, because everyone sees its value at once.
create sequence holdfast.last_carry as bigint minvalue 0 start 0;

-- In REPEATABLE READ a row may be written below a parent that has moved since, to a tenant that the snapshot cannot see.
create function holdfast.check_parents() returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable')
     and exists (select from holdfast.last_carry c where c.last_value <> coalesce(txid_current_if_assigned(), 0) and c.last_value > 0
                  and not pg_visible_in_snapshot(c.last_value::text::xid8, pg_current_snapshot())) then
    raise serialization_failure using
      message = 'could not serialize access: rows were moved to another tenant since this transaction began', hint = 'Run it again.';
  end if;
end $$;

-- A parent row's tenant or person has changed, and with it that of every row that hangs on it: each is logged as moved.
create function holdfast.carry(
  parent_id integer, parent_row jsonb, old_organization text, new_organization text, old_person text, new_person text, cause "char")
returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  parent      holdfast.tables;
  child       holdfast.tables;
  by_tenant   boolean;
  by_person   boolean;
  unchecked   constant boolean := current_setting('session_replication_role') = 'replica';
  row_found   record;
  was         text[];
  is_now      text[];
begin
  select * into parent from holdfast.tables t where t.id = parent_id;
  for child in
    select * from holdfast.tables t where t.dropped_at is null
       and ((t.rule #>> '{tenant,parent}')::int = parent_id or (t.rule #>> '{person,parent}')::int = parent_id)
     order by t.id
  loop
    by_tenant := (child.rule #>> '{tenant,parent}')::int is not distinct from parent_id and holdfast.reach_stands(child, 'tenant');
    by_person := (child.rule #>> '{person,parent}')::int is not distinct from parent_id and holdfast.reach_stands(child, 'person');
    by_tenant := by_tenant and old_organization is distinct from new_organization
      and (cause = 'U' or unchecked or holdfast.binding(child.oid, parent.oid, child.rule -> 'tenant') = any (case cause when 'I' then '{late,loose}' else '{loose}' end::text[]));
    by_person := by_person and old_person is distinct from new_person
      and (cause = 'U' or unchecked or holdfast.binding(child.oid, parent.oid, child.rule -> 'person') = any (case cause when 'I' then '{late,loose}' else '{loose}' end::text[]));
    continue when not (by_tenant or by_person);
    -- Nobody may add a row to the old tenant while the rest of them move; and the rows to move must all be visible.
    if cause = 'U' and by_tenant then
      if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
        raise exception 'moving rows of % to another tenant with those of % needs READ COMMITTED, the transaction is %',
          child.name, parent.name, upper(current_setting('transaction_isolation'))
          using errcode = 'HF002', hint = 'Begin the transaction with ISOLATION LEVEL READ COMMITTED.';
      end if;
      perform pg_advisory_xact_lock(hashtextextended('holdfast.carry', 0));
      perform setval('holdfast.last_carry', txid_current());
      execute format('lock table %s in share row exclusive mode', child.oid::regclass);
    end if;
    perform set_config('holdfast.moved', '1', true);
    for row_found in execute format(
      'select r.ctid as version, r.tableoid as part, %s as record, %s as texts, %s as organization, %s as person, %s as t, %s as p from %s r
        where (%s) or (%s)%s',
      holdfast.record_sql(child.oid, child.rule -> 'key', 'r'), holdfast.row_sql(child.oid, 'r'),
      holdfast.reach_sql(child.id, 'tenant', 'r'), holdfast.reach_sql(child.id, 'person', 'r'),
      case when by_tenant then holdfast.points_sql(child, parent, 'tenant') else 'false' end,
      case when by_person then holdfast.points_sql(child, parent, 'person') else 'false' end,
      child.oid::regclass,
      case when by_tenant then holdfast.points_sql(child, parent, 'tenant') else 'false' end,
      case when by_person then holdfast.points_sql(child, parent, 'person') else 'false' end,
      -- Where the table is not locked, the rows are: another may be deleting them.
      case when cause = 'U' and not by_tenant then ' for no key update of r' else '' end) using parent_row
    loop
      was := array[case when row_found.t then old_organization else row_found.organization end,
                   case when row_found.p then old_person else row_found.person end];
      is_now := array[case when row_found.t then new_organization else row_found.organization end,
                      case when row_found.p then new_person else row_found.person end];
      perform holdfast.log_move(child.id, row_found.record, row_found.record, was, is_now, row_found.version, row_found.version,
        case when child.oid <> row_found.part then row_found.part end, row_found.texts, row_found.texts, null, null, true);
      perform holdfast.carry(child.id, row_found.texts, was[1], is_now[1], was[2], is_now[2], 'U');
    end loop;
  end loop;
end $$;

-- The rows of `child` (alias r) that point to the parent row $1, which is given as text.
create function holdfast.points_sql(child holdfast.tables, parent holdfast.tables, what text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select string_agg(holdfast.equals_sql(format('r.%I', c.attname), c.atttypid,
           format('($1 ->> %L)::%s', p.attname, format_type(p.atttypid, p.atttypmod)), p.atttypid), ' and ')
    from jsonb_array_elements_text(child.rule -> what -> 'columns') with ordinality k(attnum, n)
    join pg_attribute c on c.attrelid = child.oid and c.attnum = k.attnum::int
    join pg_attribute p on p.attrelid = parent.oid and p.attnum = (child.rule -> what -> 'parentColumns' ->> (n - 1)::int)::int
$$;

-- A change of key, tenant or person: gone there, new here, each naming the other end. `was` and `is_now` are tenant and person.
-- `follows`: the row itself is the same, a parent of it moved. A late one is written in the reverse order, because among late changes the later seq sorts first.
create function holdfast.log_move(
  table_id integer, old_record text, new_record text, was text[], is_now text[], old_version tid, new_version tid, part oid,
  old_row jsonb, new_row jsonb, before_delete bigint, before_insert bigint, follows boolean default false) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  gone   jsonb := jsonb_build_object('moved', true, 'to', jsonb_build_object('organization', is_now[1], 'record', new_record))
    || case when follows then '{"follows": true}' else '{}' end::jsonb;
  comes  jsonb := jsonb_build_object('moved', true, 'from', jsonb_build_object('organization', was[1], 'record', old_record))
    || case when follows then '{"follows": true}' else '{}' end::jsonb;
begin
  if before_insert is not null then
    perform holdfast.log(table_id, 'I', is_now[1], new_record, is_now[2], new_version, part, new_row, comes, before_insert);
    perform holdfast.log(table_id, 'D', was[1], old_record, was[2], old_version, part, old_row, gone,
                         case when old_record is not distinct from new_record then before_insert else before_delete end);
  else
    perform holdfast.log(table_id, 'D', was[1], old_record, was[2], old_version, part, old_row, gone, before_delete);
    perform holdfast.log(table_id, 'I', is_now[1], new_record, is_now[2], new_version, part, new_row, comes);
  end if;
end $$;
