-- The catalog: what backups exist, where they can restore to, when they run, what happened. The store is the truth; these
-- rows can be rebuilt from it (`holdfast catalog rebuild`).

-- This life of the database begins; a restored database runs this again and so begins another.
insert into holdfast.installation (version) values (1) on conflict do nothing;

create table holdfast.tenant_backups (
  id               text primary key,           -- the backup id, also the name of its folder in the store
  tenant           text collate "C",           -- null: the whole database
  type             text not null check (type in ('full', 'incremental', 'differential', 'transaction_log', 'config')),
  status           text not null check (status in ('running', 'complete', 'failed', 'expired')),
  location         text not null default 'primary',
  parent_id        text,                       -- needed to restore this one; null for a full
  epoch            uuid not null,
  started_at       timestamptz not null,
  finished_at      timestamptz,
  horizon          timestamptz,                -- the latest moment it can restore to
  log_from         pg_snapshot,
  log_to           pg_snapshot,
  tables           text[],                     -- null: all
  bytes            bigint not null default 0,  -- stored
  raw_bytes        bigint not null default 0,  -- before compression
  rows             bigint not null default 0,
  changes          bigint not null default 0,
  objects          integer not null default 0,
  manifest_sha256  text,
  verified_at      timestamptz,
  proven_at        timestamptz,                -- last time a restore test of it passed
  proof            jsonb,                      -- the restore test's result
  legal_hold       boolean not null default false,
  error            jsonb
);
create index tenant_backups_tenant on holdfast.tenant_backups (tenant, started_at desc);

create table holdfast.tenant_restore_points (
  name        text collate "C" not null,
  tenant      text collate "C",                -- null: the whole database
  moment      timestamptz not null,
  snapshot    pg_snapshot not null,
  reason      text,
  created_at  timestamptz not null default clock_timestamp()
);
create unique index tenant_restore_points_name on holdfast.tenant_restore_points (coalesce(tenant, ''), name);

create table holdfast.tenant_backup_schedules (
  id          bigint primary key generated always as identity,
  tenant      text collate "C",                -- null: every tenant
  type        text not null,
  cron        text not null,
  time_zone   text not null default 'UTC',
  enabled     boolean not null default true,
  location    text not null default 'primary',
  created_at  timestamptz not null default clock_timestamp(),
  last_run_at timestamptz,
  next_run_at timestamptz
);

create table holdfast.tenant_backup_logs (
  id         bigint primary key generated always as identity,
  backup_id  text,
  tenant     text collate "C",
  at         timestamptz not null default clock_timestamp(),
  step       text not null,                    -- check, copy, write, verify, register, restore-test, cleanup, restore, …
  result     text not null check (result in ('started', 'ok', 'failed', 'skipped', 'refused')),
  duration_ms bigint,
  detail     jsonb
);
create index tenant_backup_logs_tenant on holdfast.tenant_backup_logs (tenant, at desc);
create index tenant_backup_logs_backup on holdfast.tenant_backup_logs (backup_id);

-- What a tenant may see of the catalog, in a session whose setting holdfast.tenant names it. An operator's session leaves the
-- setting empty. FORCE binds the owner too, so that a service that sets a tenant is held to it whatever role it runs as.
do $$
declare
  t text;
begin
  foreach t in array array['tenant_backups', 'tenant_restore_points', 'tenant_backup_schedules', 'tenant_backup_logs'] loop
    execute format('alter table holdfast.%I enable row level security, force row level security', t);
    execute format('create policy operator on holdfast.%I to current_user
                      using (coalesce(current_setting(''holdfast.tenant'', true), '''') = '''')', t);
    execute format('create policy own on holdfast.%I for select using (tenant = current_setting(''holdfast.tenant'', true))', t);
  end loop;
end $$;

-- Backups of the whole database hold every tenant: the owner may read them for a tenant's session, through the view below,
-- which shows that they are there and not how large they are.
create policy whole_database on holdfast.tenant_backups for select to current_user
  using (tenant is null and status = 'complete');

create view holdfast.tenant_backup_list with (security_barrier) as
select b.id, b.tenant, b.tenant is null as whole_database, b.type, b.status, b.location, b.parent_id, b.started_at,
       b.finished_at, b.horizon, b.verified_at, b.proven_at, b.legal_hold,
       case when s.full_view then b.bytes end as bytes,
       case when s.full_view then b.raw_bytes end as raw_bytes,
       case when s.full_view then b.rows end as rows,
       case when s.full_view then b.changes end as changes,
       case when s.full_view then b.objects end as objects,
       case when s.full_view then b.tables end as tables,
       case when s.full_view then b.proof end as proof,
       case when s.full_view then b.error end as error
  from holdfast.tenant_backups b
 cross join lateral (select coalesce(current_setting('holdfast.tenant', true), '') in ('', b.tenant) as full_view) s
 where s.full_view or (b.tenant is null and b.status = 'complete');

create view holdfast.tenant_backup_stats with (security_barrier) as
select tenant,
       count(*) filter (where status = 'complete') as backups,
       count(*) filter (where status = 'failed') as failures,
       coalesce(sum(bytes) filter (where status = 'complete'), 0)::bigint as bytes,
       max(finished_at) filter (where status = 'complete' and type = 'full') as last_full,
       max(finished_at) filter (where status = 'complete' and type = 'incremental') as last_incremental,
       max(finished_at) filter (where status = 'complete' and type = 'differential') as last_differential,
       max(finished_at) filter (where status = 'complete' and type = 'transaction_log') as last_transaction_log,
       max(horizon) filter (where status = 'complete') as restorable_to,
       max(proven_at) as last_proven_restorable,
       avg(extract(epoch from finished_at - started_at)) filter (where status = 'complete') as average_seconds
  from holdfast.tenant_backups
 where coalesce(current_setting('holdfast.tenant', true), '') in ('', tenant)
 group by tenant;
