-- Keeping up with the schema. Each shape that a table had is a version; history is carried across versions by attribute
-- number, and where that would not be right the newer version holds a barrier that says why.

-- What a table's trigger functions were generated from, and its storage then.
alter table holdfast.tables add column form text, add column storage jsonb;

-- The present shape. `missing` is what rows written before the column existed have in it.
create function holdfast.shape(relation oid) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp set datestyle = 'ISO, YMD' set timezone = 'UTC' set intervalstyle = 'postgres'
  set extra_float_digits = 1 set bytea_output = 'hex' set lc_monetary = 'C' as $$
  select coalesce(jsonb_agg(jsonb_build_object(
           'attnum', a.attnum, 'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
           'typid', a.atttypid::bigint, 'typmod', a.atttypmod, 'notNull', a.attnotnull,
           'default', case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end,
           'identity', a.attidentity, 'generated', a.attgenerated,
           'missing', case when a.atthasmissing then (a.attmissingval::text::text[])[1] end,
           'labels', (select jsonb_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = holdfast.base_type(a.atttypid)))
         order by a.attnum), '[]')
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
$$;

-- Whether every text of the old type is the same text in the new one.
create function holdfast.is_widening(was jsonb, is_now jsonb) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
  with t as (
    select holdfast.base_type((was ->> 'typid')::bigint::oid) as a, holdfast.base_type((is_now ->> 'typid')::bigint::oid) as b,
           (was ->> 'typmod')::int as am, (is_now ->> 'typmod')::int as bm
  )
  select case
      when a = b and am = bm then true
      when a in ('varchar'::regtype, 'text'::regtype) and b in ('varchar'::regtype, 'text'::regtype) then bm = -1 or am <> -1 and bm >= am
      when a in ('int2'::regtype, 'int4'::regtype) and b in ('int4'::regtype, 'int8'::regtype) then true
      when a in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) and b in ('numeric'::regtype, 'text'::regtype, 'varchar'::regtype) then bm = -1
      when a = 'uuid'::regtype and b in ('text'::regtype, 'varchar'::regtype) then bm = -1
      when a = 'numeric'::regtype and b = a then bm = -1 or am <> -1 and (am - 4) % 65536 = (bm - 4) % 65536 and bm >= am
      when a in ('timestamp'::regtype, 'timestamptz'::regtype, 'time'::regtype) and b = a then bm = -1 or am <> -1 and bm >= am
      else false
    end
    from t
$$;

-- Why the history before cannot be carried into this shape; null when it can.
create function holdfast.barrier(table_id integer, was jsonb, is_now jsonb, old_key jsonb, new_key jsonb, trusted boolean) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  t         holdfast.tables;
  pair      record;
  has_rows  boolean;
begin
  select * into t from holdfast.tables where id = table_id;
  if old_key <> new_key then
    return 'its key was changed';
  end if;
  for pair in
    select o as a, n as b from jsonb_array_elements(is_now) n left join jsonb_array_elements(was) o on o -> 'attnum' = n -> 'attnum'
  loop
    if pair.a is null then
      if pair.b ->> 'missing' is null and pair.b ->> 'generated' = '' and (pair.b ->> 'default' is not null or pair.b ->> 'identity' <> '') then
        execute format('select exists (select from %s)', t.oid::regclass) into has_rows;
        if has_rows then
          return format('column %I was added with a value of its own in each row', pair.b ->> 'name');
        end if;
      end if;
    elsif pair.a -> 'typid' <> pair.b -> 'typid' or pair.a -> 'typmod' <> pair.b -> 'typmod' then
      -- Without a rewrite the values cannot have changed; with one, USING may have computed anything.
      if not holdfast.is_widening(pair.a, pair.b) or not trusted then
        return format('column %I was changed from %s to %s', pair.b ->> 'name', pair.a ->> 'type', pair.b ->> 'type');
      end if;
    elsif exists (select from jsonb_array_elements(coalesce(nullif(pair.a -> 'labels', 'null'), '[]')) l where not pair.b -> 'labels' @> jsonb_build_array(l)) then
      return format('the type %s of column %I lost or renamed a label', pair.b ->> 'type', pair.b ->> 'name');
    end if;
  end loop;
  return null;
end $$;

-- Partitions that came or went with rows in them: rows that no trigger saw.
create function holdfast.moved_partition(t holdfast.tables) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  leaf      oid;
  has_rows  boolean;
  tree      oid[] := array(select relid::oid from pg_partition_tree(t.oid) where relid <> t.oid);
begin
  foreach leaf in array array(select unnest(tree) except select unnest(t.leaves)) loop
    execute format('select exists (select from %s)', leaf::regclass) into has_rows;
    if has_rows then
      return format('partition %s was attached with rows in it', leaf::regclass);
    end if;
  end loop;
  foreach leaf in array array(select unnest(t.leaves) except select unnest(tree)) loop
    if not exists (select from pg_class where oid = leaf) then
      return 'a partition was dropped';
    end if;
    execute format('select exists (select from %s)', leaf::regclass) into has_rows;
    if has_rows then
      return format('partition %s was detached with rows in it', leaf::regclass);
    end if;
  end loop;
  return null;
end $$;

-- What a table looks like on disk: the transactions that last wrote its columns' entries in the catalog, and its files.
create function holdfast.storage(relation oid) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object(
    'columns', (select jsonb_object_agg(a.attnum, a.xmin::text) from pg_attribute a
                 where a.attrelid = relation and a.attnum > 0 and not a.attisdropped),
    'files', (select jsonb_object_agg(c.oid::bigint, c.relfilenode::bigint) from pg_class c
               where c.relkind = 'r' and (c.oid = relation or c.oid in (select relid from pg_partition_tree(relation)))))
$$;

-- Without event triggers: a column that was altered although its shape is as before, in a table that has new files. It was
-- computed anew, or TRUNCATE or VACUUM FULL and a change of no account came together; which, nobody can tell any more.
create function holdfast.may_be_rewritten(t holdfast.tables, was jsonb, is_now jsonb) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select not exists (select from pg_event_trigger e where e.evtname = 'holdfast_rewrite' and e.evtenabled <> 'D')
     and exists (select from jsonb_each(t.storage -> 'files') f where s -> 'files' -> f.key <> f.value)
     and exists (select from jsonb_each(t.storage -> 'columns') c where s -> 'columns' -> c.key <> c.value
                    and (select x from jsonb_array_elements(was) x where x ->> 'attnum' = c.key)
                      = (select x from jsonb_array_elements(is_now) x where x ->> 'attnum' = c.key))
    from holdfast.storage(t.oid) s
$$;

-- Whether the running statement has rewritten the table, or a partition of it, for a column's type.
create function holdfast.was_rewritten(relation oid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from regexp_split_to_table(trim(current_setting('holdfast.rewritten', true)), ' ') x
     where x <> '' and (x::oid = relation or x::oid in (select relid from pg_partition_tree(relation))))
$$;

-- Brings one table's record, functions and triggers up to the catalog. `trusted`: the running statement is a plain ALTER TABLE
-- without USING. `firing`: see holdfast.generate. Returns whether anything had changed.
create function holdfast.follow(table_id integer, trusted boolean default false, firing boolean default false) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  t        holdfast.tables;
  last     holdfast.table_versions;
  shape    jsonb;
  key      jsonb;
  lost     text[];
  reason   text;
begin
  select * into strict t from holdfast.tables where id = table_id for update;
  update holdfast.tables set name = holdfast.table_name(t.oid) where id = table_id and name is distinct from holdfast.table_name(t.oid);
  shape := holdfast.shape(t.oid);
  key := holdfast.key_of(t.oid);
  lost := array(select what from unnest(array['tenant', 'person']) what where t.rule ? what and not holdfast.reach_stands(t, what));
  select * into last from holdfast.table_versions v where v.table_id = t.id order by version desc limit 1;
  if last.version is not null then
    reason := coalesce(
      holdfast.barrier(t.id, last.columns, shape, last.key, key, trusted), holdfast.moved_partition(t),
      case when not trusted and (holdfast.was_rewritten(t.oid) or holdfast.may_be_rewritten(t, last.columns, shape))
           then 'its values may have been computed anew by ALTER TABLE' end,
      case when lost <> '{}' then format('what told the %s of its rows was dropped', array_to_string(lost, ' and the ')) end);
    if reason is null and last.columns = shape and last.key = key then
      if t.form is distinct from holdfast.form(t.id) then
        perform holdfast.generate(t.id, firing);
      elsif not firing then
        perform holdfast.attach(t.id);
      end if;
      return false;
    end if;
  end if;
  update holdfast.tables set rule = jsonb_set(rule - lost, '{key}', key)
      || case when lost <> '{}' then jsonb_build_object('lost', coalesce(rule -> 'lost', '[]') || to_jsonb(lost)) else '{}' end where id = t.id;
  insert into holdfast.table_versions (table_id, version, from_seq, xid, columns, key, barrier)
  values (t.id, coalesce(last.version, 0) + 1, nextval('holdfast.seq'), txid_current(), shape, key, reason);
  if firing then
    update holdfast.tables set leaves = holdfast.leaves_of(t.oid) where id = t.id;
  end if;
  perform holdfast.generate(t.id, firing);
  return true;
end $$;

-- Primary key, else the first unique index over NOT NULL columns, as attribute numbers in index order.
create function holdfast.key_of(relation oid) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce((
    select (select jsonb_agg(k order by n) from unnest(i.indkey::int2[]) with ordinality x(k, n) where n <= i.indnkeyatts)
      from pg_index i
     where i.indrelid = relation and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null and i.indimmediate
       and not exists (select from unnest(i.indkey::int2[]) with ordinality x(k, n)
                        join pg_attribute a on a.attrelid = relation and a.attnum = k
                       where n <= i.indnkeyatts and not a.attnotnull)
     order by i.indisprimary desc, i.indnkeyatts, i.indexrelid limit 1), '[]')
$$;

-- `schema.table` as holdfast.yaml has it: quoted only where it must be.
create function holdfast.table_name(relation oid) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select string_agg(case when part ~ '^[a-z_][a-z0-9_$]*$' then part else '"' || replace(part, '"', '""') || '"' end, '.' order by n)
    from pg_class c join pg_namespace s on s.oid = c.relnamespace, unnest(array[s.nspname::text, c.relname::text]) with ordinality x(part, n)
   where c.oid = relation
$$;

-- Everything that hangs on a table is generated again when its columns are renamed: the tables below it read them.
create function holdfast.regenerate(table_id integer) returns void
language sql set search_path = pg_catalog, pg_temp as $$
  select holdfast.generate(t.id) from holdfast.tables t
   where t.dropped_at is null and t.id <> table_id
$$;

create function holdfast.on_ddl() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  t        record;
  changed  boolean := false;
  -- In a script or a function the text says nothing about what ran.
  trusted  boolean := current_query() ~* '^\s*alter\s+table\s' and current_query() !~* '\musing\M' and current_query() !~ ';\s*\S';
  -- Triggers put to rest, and back: nothing that the functions rely on. Every restore does it, twice.
  resting  constant boolean := current_query() ~* replace(replace(
    '^\s*alter\s+table\s+(only\s+)?NAME(\.NAME)?\s+REST(\s*,\s*REST)*\s*;?\s*$',
    'REST', '(disable|enable(\s+(always|replica))?)\s+trigger\s+NAME'), 'NAME', '(\w+|"([^"]|"")+")');
begin
  for t in
    select p.id, p.oid from holdfast.tables p where p.dropped_at is null and exists (
      select from pg_event_trigger_ddl_commands() d
       where d.objid = p.oid or d.objid in (select relid from pg_partition_tree(p.oid)) or d.object_type in ('type', 'index', 'schema'))
  loop
    changed := holdfast.follow(t.id, trusted) or changed;
  end loop;
  -- ALTER TABLE may also have changed how a foreign key binds, which the functions of other tables rely on.
  if changed or found and tg_tag = 'ALTER TABLE' and not resting then
    perform holdfast.regenerate(0);
  end if;
  perform set_config('holdfast.rewritten', '', true);
end $$;

-- ALTER COLUMN … TYPE … USING may compute new values and leave the type as it was; then only the rewrite tells.
create function holdfast.on_rewrite() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if pg_event_trigger_table_rewrite_reason() & 4 <> 0 then
    perform set_config('holdfast.rewritten',
      concat(current_setting('holdfast.rewritten', true), ' ', pg_event_trigger_table_rewrite_oid()), true);
  end if;
end $$;

create function holdfast.on_drop() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  t  holdfast.tables;
begin
  if to_regclass('holdfast.tables') is null then
    return;       -- it is Holdfast itself that is being dropped
  end if;
  for t in select p.* from holdfast.tables p where p.dropped_at is null and not exists (select from pg_class c where c.oid = p.oid) loop
    insert into holdfast.table_versions (table_id, version, from_seq, xid, columns, key, barrier)
    select t.id, v.version + 1, nextval('holdfast.seq'), txid_current(), v.columns, v.key, 'the table was dropped'
      from holdfast.table_versions v where v.table_id = t.id order by v.version desc limit 1;
    update holdfast.tables set oid = null, dropped_at = clock_timestamp() where id = t.id;
  end loop;
  -- What lost a partition, or the parent that it was reached through.
  for t in select p.* from holdfast.tables p where p.dropped_at is null and (
             exists (select from unnest(p.leaves) l where not exists (select from pg_class c where c.oid = l))
             or p.rule ? 'tenant' and not holdfast.reach_stands(p, 'tenant')
             or p.rule ? 'person' and not holdfast.reach_stands(p, 'person')) loop
    perform holdfast.follow(t.id);
  end loop;
end $$;

-- Stops capturing a table. Its history stays.
create function holdfast.release(table_id integer) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  t  holdfast.tables;
begin
  select * into strict t from holdfast.tables where id = table_id;
  insert into holdfast.table_versions (table_id, version, from_seq, xid, columns, key, barrier)
  select t.id, v.version + 1, nextval('holdfast.seq'), txid_current(), v.columns, v.key, 'it was no longer protected'
    from holdfast.table_versions v where v.table_id = t.id order by v.version desc limit 1;
  update holdfast.tables set oid = null, dropped_at = clock_timestamp() where id = t.id;
  execute format('drop function if exists holdfast.%I() cascade', 'capture_' || t.id);
  execute format('drop function if exists holdfast.%I() cascade', 'truncate_' || t.id);
end $$;

-- What the catalog has and Holdfast does not know yet, or what was switched off; empty when all is well.
create function holdfast.drift() returns table (table_name text, problem text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with parts as (
    select t.id, t.name, t.oid as root, c.oid, c.relkind from holdfast.tables t
      join pg_class c on c.oid = t.oid or c.oid in (select relid from pg_partition_tree(t.oid))
     where t.dropped_at is null
  )
  select t.name, 'the table is gone' from holdfast.tables t
   where t.dropped_at is null and not exists (select from pg_class c where c.oid = t.oid)
  union all
  select p.name, format('trigger %I on %s is missing', w.tgname, p.oid::regclass)
    from parts p, (values ('!holdfast'), ('!holdfast_truncate')) w(tgname)
   where (w.tgname = '!holdfast' or p.relkind = 'r')
     and not exists (select from pg_trigger g where g.tgrelid = p.oid and g.tgname = w.tgname)
  union all
  select p.name, format('trigger %I on %s does not fire always', g.tgname, p.oid::regclass)
    from parts p join pg_trigger g on g.tgrelid = p.oid
   where g.tgname in ('!holdfast', '!holdfast_truncate') and g.tgenabled <> 'A'
  union all
  select t.name, 'its columns or its key have changed since its triggers were generated'
    from holdfast.tables t join lateral (
      select v.columns, v.key from holdfast.table_versions v where v.table_id = t.id order by v.version desc limit 1) v on true
   where t.dropped_at is null and exists (select from pg_class c where c.oid = t.oid)
     and (v.columns <> holdfast.shape(t.oid) or v.key <> holdfast.key_of(t.oid))
  union all
  select t.name, 'it was renamed' from holdfast.tables t
   where t.dropped_at is null and holdfast.table_name(t.oid) <> t.name
$$;

-- Only set_actor is for the application. Triggers need no rights of the one who fires them.
revoke all on all functions in schema holdfast from public;
grant usage on schema holdfast to public;
grant execute on function holdfast.set_actor(text, text, text, inet, text) to public;
