-- A schema made to catch a trail out: cascades, nested triggers that get ahead of their cause, paths of foreign keys,
-- partitions, composite keys. The plain triggers named zz_oracle fill oracle.log, which shares nothing with Holdfast.
create schema app;
create schema oracle;

create table app.orgs (id int primary key, name text not null);
create table app.teams (id int primary key, org int not null references app.orgs, name text not null);
create table app.people (
  id int primary key,
  team int not null references app.teams on delete cascade on update cascade,
  name text not null,
  n int not null default 0);
create table app.items (
  a int, b text,
  person int references app.people on delete cascade on update cascade,
  val int not null default 0,
  twice int generated always as (val * 2) stored,
  primary key (a, b));
create table app.notes (
  id int primary key, org int not null, parent int references app.notes on delete set null deferrable initially deferred,
  txt text not null, n int not null default 0);
create table app.events (id int, day int, org int not null, val int not null, primary key (id, day)) partition by range (day);
create table app.events_0 partition of app.events for values from (0) to (10);
create table app.events_1 partition of app.events for values from (10) to (20) partition by list (day);
create table app.events_1a partition of app.events_1 for values in (10, 11, 12, 13, 14);
create table app.events_1b partition of app.events_1 default;
create table app.scraps (id int primary key, org int not null, txt text not null);

create table oracle.log (
  n bigserial, xid bigint not null, tbl text not null, op text not null, was jsonb, is_now jsonb);
create index on oracle.log (xid);

create function oracle.write() returns trigger language plpgsql as $$
begin
  insert into oracle.log (xid, tbl, op, was, is_now)
  values (pg_current_xact_id()::text::bigint, tg_argv[0], tg_op,
          case when tg_op <> 'INSERT' then to_jsonb(old) end, case when tg_op <> 'DELETE' then to_jsonb(new) end);
  return null;
end $$;
create function oracle.write_truncate() returns trigger language plpgsql as $$
begin
  insert into oracle.log (xid, tbl, op, was)
  select pg_current_xact_id()::text::bigint, 'scraps', 'DELETE', to_jsonb(s) from app.scraps s;
  return null;
end $$;

create trigger zz_oracle after insert or update or delete on app.orgs for each row execute function oracle.write('orgs');
create trigger zz_oracle after insert or update or delete on app.teams for each row execute function oracle.write('teams');
create trigger zz_oracle after insert or update or delete on app.people for each row execute function oracle.write('people');
create trigger zz_oracle after insert or update or delete on app.items for each row execute function oracle.write('items');
create trigger zz_oracle after insert or update or delete on app.notes for each row execute function oracle.write('notes');
create trigger zz_oracle after insert or update or delete on app.events for each row execute function oracle.write('events');
create trigger zz_oracle after insert or update or delete on app.scraps for each row execute function oracle.write('scraps');
create trigger zz_oracle_truncate before truncate on app.scraps for each statement execute function oracle.write_truncate();

-- Nested statements on rows that the outer statement has changed, or is about to.
create function app.notes_follow() returns trigger language plpgsql as $$
begin
  if pg_trigger_depth() > 3 then
    return null;
  end if;
  if tg_op = 'UPDATE' and new.txt like '%next%' then
    update app.notes set n = n + 1 where id = new.id + 1;
  elsif tg_op = 'UPDATE' and new.txt like '%self%' then
    update app.notes set n = n + 1 where id = new.id;
  elsif tg_op = 'UPDATE' and new.txt like '%idle%' then
    update app.notes set n = n where id in (new.id, new.id + 1);
    update app.notes set n = n + 1 where id = new.id + 1;
  elsif tg_op = 'UPDATE' and new.txt like '%swap%' then
    delete from app.notes where id = new.id + 1;
    insert into app.notes (id, org, txt) values (new.id + 1, new.org, 'swapped') on conflict do nothing;
  elsif tg_op = 'UPDATE' and new.txt like '%rekey%' then
    update app.notes set id = id + 100000 where id = new.id + 1 and not exists (select from app.notes x where x.id = new.id + 100001);
  elsif tg_op = 'UPDATE' and new.txt like '%emigrate%' then
    update app.notes set org = 1 + (org % 5) where id in (new.id, new.id + 1);
  elsif tg_op = 'DELETE' and old.txt like '%phoenix%' then
    insert into app.notes (id, org, txt) values (old.id + 1, old.org, 'ashes'), (old.id, old.org, 'again') on conflict do nothing;
  elsif tg_op = 'DELETE' and old.txt like '%brief%' then
    insert into app.notes (id, org, txt) values (old.id + 1, old.org, 'brief ashes') on conflict do nothing;
    delete from app.notes where id = old.id + 1 and txt = 'brief ashes';
  elsif tg_op = 'INSERT' and new.txt like '%vanish%' then
    delete from app.notes where id = new.id;
  elsif tg_op = 'INSERT' and new.txt like '%grow%' then
    update app.notes set n = 7 where id in (new.id, new.id + 1);
  end if;
  return null;
end $$;
create trigger follow after insert or update or delete on app.notes for each row execute function app.notes_follow();

-- Nested in an expression, not in a trigger.
create function app.touch(note int) returns int language plpgsql as $$
begin
  update app.notes set n = n + 1 where id = note - 1;
  return 1;
end $$;

create function app.attempt(note int, fail boolean) returns void language plpgsql as $$
begin
  insert into app.notes (id, org, txt) values (note, 1, 'attempt') on conflict (id) do update set n = notes.n + 1;
  begin
    update app.notes set txt = txt || ' inner self', n = n + 10 where id = note;
    if fail then
      raise exception 'rolled back on purpose';
    end if;
  exception when raise_exception then
    null;
  end;
  update app.notes set n = n + 100 where id = note;
end $$;

create function app.busy() returns trigger language plpgsql as $$
begin
  update app.people set n = n + 1 where id = coalesce(new.person, old.person);
  return null;
end $$;
create trigger busy after insert or delete on app.items for each row execute function app.busy();

insert into app.orgs select g, 'org ' || g from generate_series(1, 5) g;
insert into app.teams select g, 1 + g % 5, 'team ' || g from generate_series(1, 20) g;
insert into app.people select g, 1 + g % 20, 'person ' || g from generate_series(1, 100) g;
insert into app.items select g % 50, 'b' || g, 1 + g % 100, g from generate_series(1, 300) g;
insert into app.notes select g, 1 + g % 5, null, (array['plain', 'next', 'self', 'idle', 'swap', 'phoenix', 'brief', 'grow'])[1 + g % 8], 0 from generate_series(1, 200) g;
insert into app.events select g, g % 20, 1 + g % 5, g from generate_series(1, 200) g;
insert into app.scraps select g, 1 + g % 5, 'scrap ' || g from generate_series(1, 20) g;
