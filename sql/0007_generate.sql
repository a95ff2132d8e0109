-- The trigger functions, one pair per table, written from the catalog and holdfast.tables.rule:
--   {"key": [attnum, …], "tenant": reach, "person": reach}
--   reach: {"kind": "column", "column": attnum}
--        | {"kind": "via", "columns": [attnum, …], "parent": table id, "parentColumns": [attnum, …]}

-- Fills {name} in a template, in one pass: a column may be called "{id}".
create function holdfast.fill(template text, parts jsonb) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select string_agg(plain || coalesce(parts ->> trim(name, '{}'), ''), '' order by n)
    from rows from (regexp_split_to_table(template, '\{[a-z_]+\}'), regexp_matches(template, '\{[a-z_]+\}', 'g'))
         with ordinality x(plain, names, n), lateral (select names[1] as name) y
$$;

-- Whether the columns that `reach` (or the key) reads differ between old and new.
create function holdfast.any_differs_sql(relation oid, attnums jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(string_agg(holdfast.differs_sql(a.atttypid, format('old.%I', a.attname), format('new.%I', a.attname)), ' or '), 'false')
    from jsonb_array_elements_text(attnums) k join pg_attribute a on a.attrelid = relation and a.attnum = k::int
$$;

-- The record id of the parent that `alias` points to, where its foreign key is the parent's whole key in the same types;
-- otherwise null, and a parent that is gone is looked for by its values.
create function holdfast.parent_record_sql(t holdfast.tables, what text, alias text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when bool_and(c.atttypid = p.atttypid and k.parent_column is not null)
              then case count(*) when 1 then min(x.t) else 'jsonb_build_array(' || string_agg(x.t, ', ' order by k.n) || ')::text' end end
    from holdfast.tables parent
    cross join lateral (
      -- In the order of the parent's key.
      select key.n, key.attnum::int as parent_column, t.rule -> what -> 'columns' ->> (r.n - 1)::int as child_column
        from jsonb_array_elements_text(parent.rule -> 'key') with ordinality key(attnum, n)
        full join jsonb_array_elements_text(t.rule -> what -> 'parentColumns') with ordinality r(attnum, n) using (attnum)) k
    left join pg_attribute c on c.attrelid = t.oid and c.attnum = k.child_column::int
    left join pg_attribute p on p.attrelid = parent.oid and p.attnum = k.parent_column
    cross join lateral (select holdfast.text_sql(c.atttypid, format('%s.%I', alias, c.attname)) as t) x
   where parent.id = (t.rule -> what ->> 'parent')::int
$$;

-- Statements that set `variable` to the tenant or person of `alias`. A cascade deletes the parent first: what it was is then
-- the last that this transaction logged of it. Cascades can be large, so that look-up is one index probe wherever it can be.
-- Where several cascades meet, the parent's own change may not be logged yet: `awaits` then names it (see holdfast.settle).
create function holdfast.lookup_sql(t holdfast.tables, what text, variable text, alias text, may_wait boolean default true) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  reach     jsonb := t.rule -> what;
  parent    holdfast.tables;
  record    text;
  slow      text;
  logged    text;
  missing   text;
begin
  if reach ->> 'kind' is distinct from 'via' then
    return format('%s := %s;', variable, holdfast.reach_sql(t.id, what, alias));
  end if;
  select * into strict parent from holdfast.tables p where p.id = (reach ->> 'parent')::int;
  record := holdfast.parent_record_sql(t, what, alias);
  slow := format('%s := holdfast.reach(%s, %L, %s);', variable, t.id, what, holdfast.row_sql(t.oid, alias));
  logged := format(
    E'select c.%1$s, c.metadata #> ''{awaits,%2$s}'' into %3$s, parent from holdfast.trail c\n'
    '       where c.table_id = %4$s and c.record = %5$s and c.at >= now() and c.xid = txid_current() and c.action = ''D''\n'
    '       order by c.seq desc limit 1;\n'
    '      if not found then parent := jsonb_build_array(%4$s, %5$s); end if;',
    case what when 'tenant' then 'organization' else 'person' end, what, variable, parent.id, record);
  if may_wait then
    logged := logged || format(
      E'\n      if parent is not null then awaits := coalesce(awaits, ''{}'') || jsonb_build_object(%L, parent); end if;', what);
  end if;
  -- A parent that another transaction commits between this look-up and PostgreSQL's own check of the key: refused, as if the
  -- check had come first.
  missing := case when record is null then slow else logged end;
  if alias = 'new' and holdfast.binding(t.oid, parent.oid, reach) = 'strict' then
    missing := format(
      E'if tg_op = ''INSERT'' then\n        perform holdfast.no_parent(%1$s, %2$L, %3$s);\n'
      '      elsif %4$s then\n        perform holdfast.no_parent(%1$s, %2$L, %3$s);\n      end if;\n      %5$s',
      t.id, what, holdfast.row_sql(t.oid, 'new'), holdfast.any_differs_sql(t.oid, reach -> 'columns'), missing);
  end if;
  return format(
    E'%1$s := %2$s;\n  if %1$s is null and %3$s then\n    if not exists (select from %4$s q where %5$s) then\n      %6$s\n    %7$send if;\n  end if;',
    variable, holdfast.reach_sql(t.id, what, alias),
    (select string_agg(format('%s.%s is not null', alias, holdfast.column_sql(t.oid, c::int)), ' and ')
       from jsonb_array_elements_text(reach -> 'columns') c),
    parent.oid::regclass, holdfast.join_sql(t.oid, alias, parent.oid, 'q', reach),
    missing,
    -- The parent is there, but what it hangs on may be gone; or it was committed just now.
    format(E'else\n      %s\n    ', case when parent.rule -> what ->> 'kind' = 'via' then slow
                                          else format('%s := %s;', variable, holdfast.reach_sql(t.id, what, alias)) end));
end $$;

-- The statement that logs a table's rows before TRUNCATE, up to where the table or the partition is named. $1: the partition.
create function holdfast.truncate_sql(t holdfast.tables) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select format('select holdfast.log(%s, ''D'', %s, %s, %s, r.ctid, $1, %s, ''{"truncate": true}'') from only ',
    t.id, holdfast.reach_sql(t.id, 'tenant', 'r'), holdfast.record_sql(t.oid, t.rule -> 'key', 'r'),
    holdfast.reach_sql(t.id, 'person', 'r'), holdfast.row_sql(t.oid, 'r'))
$$;

-- The fence of a restore, written out in the trigger function: a restore of many rows must not leave the ordinary path.
create function holdfast.guard_sql(t holdfast.tables, alias text, via boolean) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  owner  text := case when via then 'org' else holdfast.reach_sql(t.id, 'tenant', alias) end;
begin
  return format(
    E'if current_setting(''holdfast.guard_tenant'', true) <> '''' and %1$s is distinct from current_setting(''holdfast.guard_tenant'', true) then\n'
    '    perform holdfast.guard(%2$s, %3$s, %1$s);\n  end if;',
    owner, t.id, holdfast.record_sql(t.oid, t.rule -> 'key', alias));
end $$;

-- `firing`: it is the table's own trigger that calls, because it found itself out of date. Then the table cannot be altered.
create function holdfast.generate(table_id integer, firing boolean default false) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $generate$
declare
  t         holdfast.tables;
  via       boolean;
  parts     jsonb;
  delta     text;
  identity  jsonb;
  edges     text[];
  name      text := 'holdfast.' || quote_ident('capture_' || table_id);
  settings  text;
begin
  select * into strict t from holdfast.tables where id = table_id;
  -- A reach that has lost a column or its parent tells nothing any more; see holdfast.follow.
  t.rule := t.rule - array(select what from unnest(array['tenant', 'person']) what where not holdfast.reach_stands(t, what));
  via := coalesce('via' in (t.rule #>> '{tenant,kind}', t.rule #>> '{person,kind}'), false);

  -- First which columns differ, then their texts: an expression costs by its size when it first runs in a transaction, and
  -- most columns never differ. In groups of five, so that an unchanged group is one expression.
  select coalesce(string_agg(format(E'  if %s then\n%s  end if;\n', tests, steps), '' order by block), '') into delta
    from (
      select (n - 1) / 5 as block, string_agg(differs, ' or ' order by n) as tests,
             string_agg(format(E'    if %s then\n      delta := delta || %L || %s;\n    end if;\n',
                               differs, ',' || to_json(attname)::text || ':', pair), '' order by n) as steps
        from (select row_number() over (order by a.attnum) as n, a.attname::text,
                     holdfast.differs_sql(a.atttypid, format('old.%I', a.attname), format('new.%I', a.attname)) as differs,
                     holdfast.pair_sql(a.atttypid, format('old.%I', a.attname), format('new.%I', a.attname)) as pair
                from pg_attribute a where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v') x
       group by 1) y;

  -- Columns whose change makes it another record, or another owner's.
  select coalesce(jsonb_agg(distinct c), '[]') into identity from (
    select jsonb_array_elements(t.rule -> 'key') as c
    union all select t.rule #> '{tenant,column}' union all select t.rule #> '{person,column}'
    union all select jsonb_array_elements(t.rule #> '{tenant,columns}')
    union all select jsonb_array_elements(t.rule #> '{person,columns}')) x where c is not null;

  -- How the tables that reach their owner through this one are bound to it.
  select array_agg(distinct holdfast.binding(c.oid, t.oid, c.rule -> what)) into edges
    from holdfast.tables c, unnest(array['tenant', 'person']) what
   where c.dropped_at is null and (c.rule -> what ->> 'parent')::int = t.id;

  parts := jsonb_build_object(
    'id', t.id,
    'table', t.oid::regclass,
    'delta', delta,
    'identity', holdfast.any_differs_sql(t.oid, identity),
    'old_row', holdfast.row_sql(t.oid, 'old'),
    'new_row', holdfast.row_sql(t.oid, 'new'),
    'old_record', holdfast.record_sql(t.oid, t.rule -> 'key', 'old'),
    'new_record', holdfast.record_sql(t.oid, t.rule -> 'key', 'new'),
    'truncate', quote_literal(holdfast.truncate_sql(t)),
    'ready', holdfast.ready_sql(t),
    'find_was', holdfast.lookup_sql(t, 'tenant', 'old_org', 'old', false) || E'\n  ' || holdfast.lookup_sql(t, 'person', 'old_person', 'old', false),
    -- In the ordinary case an owner that stands in a column goes straight into the INSERT.
    'look_up_new', case when via then holdfast.lookup_sql(t, 'tenant', 'org', 'new') || E'\n  ' || holdfast.lookup_sql(t, 'person', 'person', 'new') end,
    'look_up_old', case when via then holdfast.lookup_sql(t, 'tenant', 'org', 'old') || E'\n  ' || holdfast.lookup_sql(t, 'person', 'person', 'old') end,
    'new_org', case when via then 'org' else holdfast.reach_sql(t.id, 'tenant', 'new') end,
    'old_org', case when via then 'org' else holdfast.reach_sql(t.id, 'tenant', 'old') end,
    'new_person', case when via then 'person' else holdfast.reach_sql(t.id, 'person', 'new') end,
    'old_person', case when via then 'person' else holdfast.reach_sql(t.id, 'person', 'old') end,
    'is_via', via,
    'special', 'current_setting(''holdfast.moved'', true) <> ''''',
    'guard_new', holdfast.guard_sql(t, 'new', via),
    'guard_old', holdfast.guard_sql(t, 'old', via),
    'find_old', holdfast.lookup_sql(t, 'tenant', 'org', 'old') || E'\n  ' || holdfast.lookup_sql(t, 'person', 'person', 'old'),
    'find_new', holdfast.lookup_sql(t, 'tenant', 'org', 'new') || E'\n  ' || holdfast.lookup_sql(t, 'person', 'person', 'new'),
    'part', case when (select relkind = 'p' from pg_class where oid = t.oid) then 'tg_relid' else 'null' end,
    'settle_children', case when edges is not null then format(
      E'if current_setting(''holdfast.awaits'', true) <> '''' then perform holdfast.settle(%s, %s, org, person, awaits); end if;',
      t.id, holdfast.record_sql(t.oid, t.rule -> 'key', 'old')) end,
    -- Which inserts and deletes may take rows below them along: those of tables whose keys do not bind at once.
    'takes_in', case when edges && array['late', 'loose'] then 'true'
                     when edges is not null then 'current_setting(''session_replication_role'') = ''replica''' else 'false' end,
    'lets_go', case when edges && array['loose'] then 'true'
                    when edges is not null then 'current_setting(''session_replication_role'') = ''replica''' else 'false' end,
    'carry_insert', case when edges is not null then format('perform holdfast.carry(%s, changes, null, org, null, person, ''I'');', t.id) else 'null;' end,
    'carry_delete', case when edges is not null then format('perform holdfast.carry(%s, changes, org, null, person, null, ''D'');', t.id) else 'null;' end,
    'carry_move', case when edges is not null then format(
      E'perform holdfast.carry(%s, %s, old_org, org, old_person, person, ''U'');', t.id, holdfast.row_sql(t.oid, 'new')) end,
    'maintenance', holdfast.maintenance_sql(t),
    'maintenance_truncate', case when holdfast.maintenance_sql(t) is not null then 'perform holdfast.refuse_truncate_in_maintenance();' end,
    'check', case when 'via' = t.rule #>> '{tenant,kind}' then
      E'if current_setting(''transaction_isolation'') <> ''read committed'' then perform holdfast.check_parents(); end if;' end,
    'settle', case when via then 'if before is not null then org := next.organization; person := next.person; end if;' end);

  -- Where the function itself finds that a column was added, the rest of the statement runs under its settings of before.
  settings := holdfast.settings_sql(case when exists (select from pg_event_trigger e where e.evtname = 'holdfast_ddl')
    then array(select a.atttypid from pg_attribute a where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped)
    else '{date,timestamptz,interval,float8,bytea,money}'::regtype[]::oid[] end);
  execute format('create or replace function %s() returns trigger language plpgsql security definer %s as %L', name, settings,
    holdfast.fill($body$
declare
  delta       text := '';
  changes     jsonb;
  org         text;
  person      text;
  old_org     text;
  old_person  text;
  next        holdfast.trail;
  before      bigint;
  parent      jsonb;
  awaits      jsonb;
  fenced      text[];
begin
-- maintenance
{maintenance}
-- maintenance ends
{check}
if tg_op = 'UPDATE' and {ready} then
{delta}
  if delta = '' then
    if holdfast.is_own(old.xmin) and holdfast.is_link({id}, {new_record}, old.ctid) then
      {find_new}
      next := holdfast.successor({id}, {new_record}, new.ctid, {part});
      perform holdfast.log({id}, 'U', org, {new_record}, person, old.ctid, {part}, '{}', null, coalesce(next.before_seq, next.seq));
    end if;
    return null;
  end if;
  -- For rows that were changed again before their turn here, and for moves. The ordinary case is below.
  if new.xmax <> '0'::xid or {identity} or {special} then
    {find_new}
    next := holdfast.successor({id}, {new_record}, new.ctid, {part});
    before := coalesce(next.before_seq, next.seq);
    {settle}
    if {identity} then
      {find_was}
      if {old_record} is distinct from {new_record} or old_org is distinct from org or old_person is distinct from person then
        perform holdfast.log_move({id}, {old_record}, {new_record}, array[old_org, old_person], array[org, person],
          old.ctid, new.ctid, {part}, {old_row}, {new_row},
          case when current_setting('holdfast.inserted', true) <> ''
               then holdfast.delete_before({id}, {old_record}, old.ctid, {part}, holdfast.is_own(old.xmin), '{table}') end, before);
        perform set_config('holdfast.inserted', '1', true);
        {carry_move}
        return null;
      end if;
    end if;
    perform holdfast.log({id}, 'U', org, {new_record}, person, old.ctid, {part}, ('{' || substr(delta, 2) || '}')::jsonb,
                         holdfast.awaiting(awaits), before);
    return null;
  end if;
  {look_up_new}
  if {is_via} and awaits is not null then
    perform holdfast.log({id}, 'U', org, {new_record}, person, old.ctid, {part}, ('{' || substr(delta, 2) || '}')::jsonb, holdfast.awaiting(awaits));
    return null;
  end if;
  {guard_new}
  insert into holdfast.trail (seq, xid, at, table_id, action, organization, record, person, user_id, actor, row_version, row_table, changes)
  values (nextval('holdfast.seq'), txid_current(), greatest(clock_timestamp(), now()), {id}, 'U', {new_org}, {new_record}, {new_person},
          nullif(substr(current_setting('holdfast.actor', true), 37), ''), nullif(left(current_setting('holdfast.actor', true), 36), '')::uuid,
          old.ctid, {part}, ('{' || substr(delta, 2) || '}')::jsonb);
elsif tg_op = 'INSERT' and {ready} then
  if current_setting('holdfast.inserted', true) is distinct from '1' then
    perform set_config('holdfast.inserted', '1', true);
  end if;
  if new.xmax <> '0'::xid or {takes_in} or {special} then
    {find_new}
    next := holdfast.successor({id}, {new_record}, new.ctid, {part});
    before := coalesce(next.before_seq, next.seq);
    {settle}
    changes := {new_row};
    perform holdfast.log({id}, 'I', org, {new_record}, person, new.ctid, {part}, changes, null, before);
    if {takes_in} then
      {carry_insert}
    end if;
    return null;
  end if;
  {look_up_new}
  {guard_new}
  insert into holdfast.trail (seq, xid, at, table_id, action, organization, record, person, user_id, actor, row_version, row_table, changes)
  values (nextval('holdfast.seq'), txid_current(), greatest(clock_timestamp(), now()), {id}, 'I', {new_org}, {new_record}, {new_person},
          nullif(substr(current_setting('holdfast.actor', true), 37), ''), nullif(left(current_setting('holdfast.actor', true), 36), '')::uuid,
          new.ctid, {part}, {new_row});
elsif tg_op = 'DELETE' and {ready} then
  if {lets_go} or current_setting('holdfast.inserted', true) <> '' or current_setting('holdfast.awaits', true) <> '' or {special} then
    {find_old}
    changes := {old_row};
    if current_setting('holdfast.inserted', true) <> '' then
      before := holdfast.delete_before({id}, {old_record}, old.ctid, {part}, holdfast.is_own(old.xmin), '{table}');
    end if;
    perform holdfast.log({id}, 'D', org, {old_record}, person, old.ctid, {part}, changes, holdfast.awaiting(awaits), before);
    {settle_children}
    if {lets_go} then
      {carry_delete}
    end if;
    return null;
  end if;
  {look_up_old}
  if {is_via} and awaits is not null then
    perform holdfast.log({id}, 'D', org, {old_record}, person, old.ctid, {part}, {old_row}, holdfast.awaiting(awaits));
    {settle_children}
    return null;
  end if;
  {guard_old}
  insert into holdfast.trail (seq, xid, at, table_id, action, organization, record, person, user_id, actor, row_version, row_table, changes)
  values (nextval('holdfast.seq'), txid_current(), greatest(clock_timestamp(), now()), {id}, 'D', {old_org}, {old_record}, {old_person},
          nullif(substr(current_setting('holdfast.actor', true), 37), ''), nullif(left(current_setting('holdfast.actor', true), 36), '')::uuid,
          old.ctid, {part}, {old_row});
else
  perform holdfast.catch_up({id});
  if tg_op = 'UPDATE' then
    perform holdfast.capture({id}, tg_op, tg_relid, old, new, old.ctid, old.xmin, new.ctid, fenced);
  elsif tg_op = 'INSERT' then
    perform holdfast.capture({id}, tg_op, tg_relid, null, new, null, null, new.ctid, fenced);
  else
    perform holdfast.capture({id}, tg_op, tg_relid, old, null, old.ctid, old.xmin, null, fenced);
  end if;
end if;
return null;
end $body$, parts));

  execute format('create or replace function %s() returns trigger language plpgsql security definer %s as %L',
    'holdfast.' || quote_ident('truncate_' || t.id), settings,
    holdfast.fill($body$
begin
  -- maintenance
  {maintenance_truncate}
  -- maintenance ends
  -- TRUNCATE removes also what the transaction's snapshot cannot see, and the trail would lack those rows.
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    raise exception 'TRUNCATE of the protected table % needs READ COMMITTED, the transaction is %', tg_relid::regclass,
      upper(current_setting('transaction_isolation'))
      using errcode = 'HF002', hint = 'Begin the transaction with ISOLATION LEVEL READ COMMITTED, or use DELETE.';
  end if;
  if {ready} then
    execute {truncate} || tg_relid::regclass || ' r' using {part}::oid;
  else
    perform holdfast.catch_up({id});
    execute (select holdfast.truncate_sql(t) from holdfast.tables t where t.id = {id}) || tg_relid::regclass || ' r' using {part}::oid;
  end if;
  perform holdfast.log({id}, 'T', null, null, null, null, {part}, null, jsonb_build_object('table', tg_relid::regclass::text));
  return null;
end $body$, parts));
  update holdfast.tables set form = holdfast.form(t.id), storage = holdfast.storage(t.oid) where id = t.id;
  if not firing then
    perform holdfast.attach(t.id);
  end if;
end $generate$;

-- Creates the triggers where they are missing and makes them fire always, in partitions too: a role that may set
-- session_replication_role must not be able to silence them. Their name sorts before that of any other trigger, so that a
-- change is logged before what follows from it.
create function holdfast.attach(table_id integer) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  t     holdfast.tables;
  part  record;
  tree  oid[];
begin
  select * into strict t from holdfast.tables where id = table_id;
  tree := array(select relid::oid from pg_partition_tree(t.oid));
  if tree = '{}' then
    tree := array[t.oid];
  end if;
  if not exists (select from pg_trigger g where g.tgrelid = t.oid and g.tgname = '!holdfast') then
    execute format('create trigger "!holdfast" after insert or update or delete on %s for each row execute function holdfast.%I()',
                   t.oid::regclass, 'capture_' || t.id);
  end if;
  for part in select c.oid, c.relkind from pg_class c where c.oid = any (tree) loop
    if part.relkind = 'r' and not exists (select from pg_trigger g where g.tgrelid = part.oid and g.tgname = '!holdfast_truncate') then
      execute format('create trigger "!holdfast_truncate" before truncate on %s for each statement execute function holdfast.%I()',
                     part.oid::regclass, 'truncate_' || t.id);
    end if;
  end loop;
  for part in select g.tgrelid, g.tgname from pg_trigger g
               where g.tgrelid = any (tree) and g.tgname in ('!holdfast', '!holdfast_truncate') and g.tgenabled <> 'A' loop
    execute format('alter table %s enable always trigger %I', part.tgrelid::regclass, part.tgname);
  end loop;
  update holdfast.tables set leaves = holdfast.leaves_of(t.oid) where id = t.id;
end $$;

-- Everything below a partitioned table, sorted.
create function holdfast.leaves_of(relation oid) returns oid[]
language sql stable set search_path = pg_catalog, pg_temp as $$
  select array(select relid::oid from pg_partition_tree(relation) where relid <> relation order by 1)
$$;
