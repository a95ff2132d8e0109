-- Schedules: what runs when, made by holdfast.yaml or at run time, and every run that came due. A scheduler that starts again
-- reads here what it owes.

alter table holdfast.tenant_backup_schedules
  add column name            text collate "C",
  add column origin          text not null default 'operator' check (origin in ('file', 'operator')),
  add column spread_minutes  integer not null default 0 check (spread_minutes between 0 and 1440),
  add column overlap         text not null default 'skip' check (overlap in ('skip', 'queue')),
  add column grace_minutes   integer not null default 60 check (grace_minutes between 1 and 10080),
  add column changed_at      timestamptz not null default clock_timestamp(),
  add column changed_by      text not null default session_user,
  add column removed_at      timestamptz,                     -- kept for its runs, and until an outside clock has been told
  add column revision        bigint not null default 1,       -- counts changes of the definition
  add column placed_revision bigint not null default 0,       -- what an outside clock was last told
  add column planned_to      timestamptz not null default clock_timestamp();  -- what came due by then has its run
comment on column holdfast.tenant_backup_schedules.next_run_at is 'when its next run may start, its share of the spread included; null: not worked out yet';

update holdfast.tenant_backup_schedules set name = type || '-' || id where name is null;
alter table holdfast.tenant_backup_schedules alter column name set not null;
create unique index tenant_backup_schedules_name on holdfast.tenant_backup_schedules (coalesce(tenant, ''), name) where removed_at is null;
create index tenant_backup_schedules_next on holdfast.tenant_backup_schedules ((coalesce(next_run_at, '-infinity')))
  where enabled and removed_at is null;
create index tenant_backup_schedules_unplaced on holdfast.tenant_backup_schedules (id) where placed_revision <> revision;

create table holdfast.schedule_runs (
  id             bigint primary key generated always as identity,
  schedule_id    bigint not null references holdfast.tenant_backup_schedules on delete cascade,
  tenant         text collate "C",             -- null: the whole database
  due            timestamptz not null,         -- as the cron expression says
  start_after    timestamptz not null,         -- the same, with its share of the spread
  deadline       timestamptz not null,         -- a run that begins later is late
  lane           text collate "C" not null,    -- of the runs in a lane, one goes at a time
  state          text not null check (state in ('waiting', 'running', 'succeeded', 'failed', 'skipped')),
  missed         integer not null default 0,   -- earlier times that went by unnoticed; this one run stands for them
  missed_since   timestamptz,                  -- the first of them
  late_at        timestamptz,                  -- when its being late was noticed
  attempts       integer not null default 0,   -- starts that were refused
  execution      text,                         -- of the workflow
  started_at     timestamptz,
  finished_at    timestamptz,
  reason         text,                         -- why it was skipped
  error          jsonb,
  unique (schedule_id, due),                   -- whoever comes second with the same run finds it taken
  constraint begun check (state not in ('running', 'succeeded') or started_at is not null),
  constraint ended check ((state in ('succeeded', 'failed', 'skipped')) = (finished_at is not null)),
  constraint missed check ((missed > 0) = (missed_since is not null))
);
create index schedule_runs_waiting on holdfast.schedule_runs (deadline, id) where state = 'waiting';
create index schedule_runs_active on holdfast.schedule_runs (schedule_id) where state in ('waiting', 'running');
create index schedule_runs_finished on holdfast.schedule_runs (finished_at) where finished_at is not null;

-- A change of the definition, whoever makes it, counts, and the next run is worked out again.
create function holdfast.revise_schedule() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if (new.tenant, new.name, new.type, new.cron, new.time_zone, new.enabled, new.location, new.origin, new.spread_minutes, new.overlap,
      new.grace_minutes, new.removed_at) is distinct from
     (old.tenant, old.name, old.type, old.cron, old.time_zone, old.enabled, old.location, old.origin, old.spread_minutes, old.overlap,
      old.grace_minutes, old.removed_at) then
    new.revision := old.revision + 1;
    new.changed_at := clock_timestamp();
    new.next_run_at := null;
  end if;
  return new;
end $$;
create trigger revise_schedule before update on holdfast.tenant_backup_schedules
  for each row execute function holdfast.revise_schedule();
alter table holdfast.tenant_backup_schedules enable always trigger revise_schedule;

-- Every change of a definition is in the log, with the log-in that it came by; planning alone is not a change. A service that
-- sleeps until the next run is told to look again.
create function holdfast.log_schedule() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  what text := case when tg_op = 'INSERT' then 'added' when tg_op = 'DELETE' then 'deleted'
                    when new.removed_at is not null and old.removed_at is null then 'removed' else 'changed' end;
  s    holdfast.tenant_backup_schedules := case when tg_op = 'DELETE' then old else new end;
begin
  -- Planning is not a change; what was removed is deleted when its runs are.
  if tg_op = 'UPDATE' and new.revision = old.revision or tg_op = 'DELETE' and old.removed_at is not null then
    return null;
  end if;
  insert into holdfast.tenant_backup_logs (tenant, step, result, detail)
  values (s.tenant, 'schedule', 'ok', jsonb_build_object(
    'schedule', s.name, 'what', what, 'by', s.changed_by, 'login', session_user, 'origin', s.origin, 'type', s.type, 'cron', s.cron,
    'time_zone', s.time_zone, 'enabled', s.enabled, 'spread_minutes', s.spread_minutes, 'overlap', s.overlap,
    'grace_minutes', s.grace_minutes));
  perform pg_notify('holdfast_schedules', '');
  return null;
end $$;
create trigger log_schedule after insert or update or delete on holdfast.tenant_backup_schedules
  for each row execute function holdfast.log_schedule();
alter table holdfast.tenant_backup_schedules enable always trigger log_schedule;

-- A run that is missed, late, skipped or failed is in the log once for each of these.
create function holdfast.log_schedule_run() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  was  holdfast.schedule_runs := case when tg_op = 'UPDATE' then old end;
begin
  insert into holdfast.tenant_backup_logs (tenant, step, result, detail)
  select new.tenant, 'scheduled-run', x.result, jsonb_strip_nulls(jsonb_build_object(
           'schedule', s.name, 'what', x.what, 'due', new.due, 'execution', new.execution,
           'missed', case when x.what = 'missed' then new.missed end,
           'since', case when x.what = 'missed' then new.missed_since end,
           'reason', new.reason, 'error', new.error))
    from (values ('missed', 'skipped', tg_op = 'INSERT' and new.missed > 0),
                 ('late', 'failed', new.late_at is not null and was.late_at is null),
                 ('skipped', 'skipped', new.state = 'skipped' and was.state is distinct from 'skipped'),
                 ('failed', 'failed', new.state = 'failed' and was.state is distinct from 'failed')) x(what, result, yes)
    join holdfast.tenant_backup_schedules s on s.id = new.schedule_id
   where x.yes;
  return null;
end $$;
create trigger log_schedule_run after insert or update on holdfast.schedule_runs
  for each row execute function holdfast.log_schedule_run();
alter table holdfast.schedule_runs enable always trigger log_schedule_run;

alter table holdfast.schedule_runs enable row level security;
alter table holdfast.schedule_runs force row level security;
create policy operator on holdfast.schedule_runs to current_user using (coalesce(current_setting('holdfast.tenant', true), '') = '');
create policy own on holdfast.schedule_runs for select using (tenant = current_setting('holdfast.tenant', true));

revoke all on function holdfast.revise_schedule(), holdfast.log_schedule(), holdfast.log_schedule_run() from public;
