-- Restore requests, maintenance of one tenant, and copies of persons.

-- Requests -------------------------------------------------------------------------------------------------------------

-- A restore that one person asks for and another approves. The plan is what was previewed, frozen; its fingerprint is what is
-- approved, and what is applied or refused.
create table holdfast.restore_requests (
  id             bigint primary key generated always as identity,
  kind           text not null check (kind in ('tenant', 'undo', 'transfer')),
  tenant         text collate "C" not null,      -- whose rows are written
  source_tenant  text collate "C",               -- transfer: whose rows are copied
  request        jsonb not null,                 -- what to restore, as the operation takes it
  reason         text not null check (btrim(reason) <> ''),
  maintenance    boolean not null default false, -- the application's writes to the tenant are refused while it runs
  plan           jsonb not null,
  fingerprint    text not null,
  state          text not null default 'requested'
                 check (state in ('requested', 'approved', 'rejected', 'expired', 'running', 'applied', 'undone', 'failed')),
  requested_by   text not null check (btrim(requested_by) <> ''),
  requested_at   timestamptz not null default clock_timestamp(),
  expires_at     timestamptz not null,           -- of the request and of its approval
  decided_by     text,                           -- who approved or rejected
  decided_at     timestamptz,
  decision       text,                           -- why
  applied_by     text,
  attempt        uuid,                           -- one run of it; the run that commits must still be this one
  started_at     timestamptz,
  finished_at    timestamptz,
  restore_point  text,
  xid            bigint,                         -- what it wrote; null where nothing had to be done
  error          jsonb,
  undone_by      text,
  undone_at      timestamptz,
  undo_reason    text,
  undo_xid       bigint,
  constraint four_eyes check (
    state in ('requested', 'rejected', 'expired') or lower(btrim(decided_by)) <> lower(btrim(requested_by))),
  constraint decided check (state not in ('approved', 'running', 'applied', 'undone', 'rejected') or decided_by is not null),
  constraint applied check (state not in ('running', 'applied', 'undone') or applied_by is not null and attempt is not null),
  constraint undone check (state <> 'undone' or undone_by is not null)
);
create index restore_requests_tenant on holdfast.restore_requests (tenant, id desc);
create index restore_requests_open on holdfast.restore_requests (state) where state in ('requested', 'approved', 'running');

-- The path of a request, whoever writes to the table: only forward, only what was frozen, only in time.
create function holdfast.check_request() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'DELETE' then
    raise exception 'restore requests are kept: % cannot be deleted', old.id using errcode = 'HF004';
  elsif tg_op = 'INSERT' then
    if new.state <> 'requested' or new.decided_by is not null then
      raise exception 'a restore request begins as requested, not as %', new.state using errcode = 'HF004';
    end if;
    return new;
  end if;
  if (new.id, new.kind, new.tenant, new.source_tenant, new.request, new.reason, new.maintenance, new.fingerprint, new.requested_by,
      new.requested_at, new.expires_at) is distinct from
     (old.id, old.kind, old.tenant, old.source_tenant, old.request, old.reason, old.maintenance, old.fingerprint, old.requested_by,
      old.requested_at, old.expires_at) or new.plan <> old.plan
     or (old.decided_by is not null and (new.decided_by, new.decided_at) is distinct from (old.decided_by, old.decided_at)
         and not (old.state = 'approved' and new.state = 'rejected')) then
    raise exception 'restore request % is frozen: what was asked for and decided cannot be changed', old.id using errcode = 'HF004';
  end if;
  if new.state <> old.state then
    if not (old.state, new.state) in (
         ('requested', 'approved'), ('requested', 'rejected'), ('requested', 'expired'), ('approved', 'rejected'),
         ('approved', 'expired'), ('approved', 'running'), ('running', 'applied'), ('running', 'failed'),
         ('running', 'approved'),   -- it met another restore, and did nothing
         ('applied', 'undone')) then
      raise exception 'restore request % is %, and cannot become %', old.id, old.state, new.state using errcode = 'HF004';
    end if;
    if new.state in ('approved', 'running') and old.state <> 'running' and clock_timestamp() >= old.expires_at then
      raise exception 'restore request % expired at %', old.id, old.expires_at using errcode = 'HF004';
    end if;
    -- Rows shown for a decision are personal data. When it is over, the trail has what was written; counts and fingerprint stay.
    if new.state in ('rejected', 'expired', 'applied', 'failed') then
      new.plan := old.plan - '{samples,rows,conflicts,offers,mapping,cleared,violations}'::text[];
    end if;
  end if;
  return new;
end $$;
create trigger check_request before insert or update or delete on holdfast.restore_requests
  for each row execute function holdfast.check_request();
alter table holdfast.restore_requests enable always trigger check_request;

-- Every step is in the log, whoever took it, with the log-in that the person came by.
create function holdfast.log_request() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'UPDATE' and new.state = old.state then
    return null;
  end if;
  insert into holdfast.tenant_backup_logs (tenant, step, result, detail)
  select t, 'restore-request',
         case new.state when 'requested' then 'started' when 'running' then 'started' when 'rejected' then 'refused'
                        when 'expired' then 'skipped' when 'failed' then 'failed' else 'ok' end,
         jsonb_strip_nulls(jsonb_build_object(
           'request', new.id, 'kind', new.kind, 'state', new.state, 'fingerprint', new.fingerprint, 'login', session_user,
           'by', case new.state when 'requested' then new.requested_by when 'approved' then new.decided_by when 'rejected' then new.decided_by
                                when 'running' then new.applied_by when 'applied' then new.applied_by when 'undone' then new.undone_by end,
           'reason', case new.state when 'requested' then new.reason when 'approved' then new.decision when 'rejected' then new.decision
                                    when 'undone' then new.undo_reason end,
           'code', new.error ->> 'code', 'xid', case new.state when 'applied' then new.xid when 'undone' then new.undo_xid end::text))
    from unnest(array[new.tenant, new.source_tenant]) t where t is not null;
  return null;
end $$;
create trigger log_request after insert or update on holdfast.restore_requests
  for each row execute function holdfast.log_request();
alter table holdfast.restore_requests enable always trigger log_request;

alter table holdfast.restore_requests enable row level security;
alter table holdfast.restore_requests force row level security;
create policy operator on holdfast.restore_requests to current_user using (coalesce(current_setting('holdfast.tenant', true), '') = '');
-- A copy out of another tenant names that tenant's rows: it is for the system administrator alone.
create policy own on holdfast.restore_requests for select
  using (tenant = current_setting('holdfast.tenant', true) and kind <> 'transfer');

-- Maintenance of one tenant --------------------------------------------------------------------------------------------

-- While a tenant is in here, writes to its rows are refused. It is written into the capture functions of the tables, and only
-- while it lasts, so that it costs nothing otherwise and needs no lock on any table. `until` is a lease: whoever keeps a tenant
-- in maintenance renews it, and when they are gone it ends by itself.
create table holdfast.maintenance (
  tenant      text collate "C" primary key,
  reason      text not null,
  started_by  text not null,
  started_at  timestamptz not null default clock_timestamp(),
  until       timestamptz not null,
  request     bigint references holdfast.restore_requests
);
alter table holdfast.maintenance enable row level security;
alter table holdfast.maintenance force row level security;
-- The check below must see every row, also in a session of another tenant.
create policy installer on holdfast.maintenance to current_user using (true) with check (true);
create policy tenant on holdfast.maintenance for select using (tenant = current_setting('holdfast.tenant', true));

-- What stands at the head of a capture function: nothing, or a check of the tenants that are in maintenance. They are named in
-- the text, because a transaction whose snapshot is older than the maintenance runs the function as it is now, but cannot see
-- the row. Where the table has changed its form since, the check may name columns that are gone; holdfast.capture, which then
-- takes over, checks instead.
create function holdfast.maintenance_sql(t holdfast.tables) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (
  select format(
      E'fenced := %3$L;\nif %4$s then\n'
      '  if tg_op <> ''INSERT'' then\n    perform holdfast.refuse_in_maintenance(%1$s, fenced);\n  end if;\n'
      '  if tg_op <> ''DELETE'' then\n    perform holdfast.refuse_in_maintenance(%2$s, fenced);\n  end if;\nend if;',
      holdfast.reach_sql(t.id, 'tenant', 'old'), holdfast.reach_sql(t.id, 'tenant', 'new'), tenants, holdfast.ready_sql(t))
    from (select array_agg(m.tenant::text order by m.tenant) as tenants from holdfast.maintenance m) x
   where tenants is not null and t.rule ? 'tenant');
end $$;

-- The restore itself passes: it is bound to the tenant, and comes by the log-in of an owner.
create function holdfast.refuse_in_maintenance(organization text, tenants text[]) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  m  holdfast.maintenance;
begin
  if organization = any (tenants)
     and not (current_setting('holdfast.guard_tenant', true) is not distinct from organization
              and pg_has_role(session_user, (select nspowner from pg_namespace where nspname = 'holdfast'), 'member')) then
    select * into m from holdfast.maintenance x where x.tenant = organization;
    if not found or m.until > clock_timestamp() then
      raise exception 'tenant % is in maintenance%', organization, coalesce(': ' || m.reason, '')
        using errcode = 'HF003', hint = coalesce(format('Try again after %s.', m.until::timestamptz(0)), 'Try again later.');
    end if;
  end if;
end $$;

-- TRUNCATE takes the rows of all tenants.
create function holdfast.refuse_truncate_in_maintenance() returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  tenants  text[] := array(select m.tenant from holdfast.maintenance m);
  tenant   text;
begin
  foreach tenant in array tenants loop
    perform holdfast.refuse_in_maintenance(tenant, tenants);
  end loop;
end $$;

-- Writes the tenants in maintenance into the functions of every table, or out of them. No table is locked: the next statement
-- that begins on a table runs the new function. What holdfast.generate would write anew is taken as it is, but for the check.
create function holdfast.fence_maintenance() returns void
language plpgsql set search_path = pg_catalog, pg_temp set check_function_bodies = off as $$
declare
  heads  constant text[] := array[E'-- maintenance\n', '-- maintenance ends'];
  f      record;
begin
  perform pg_advisory_xact_lock(hashtextextended('holdfast.maintenance', 0));
  for f in
    select pg_get_functiondef(p.oid) as def, x.head
      from holdfast.tables t
     cross join lateral (values ('capture_', holdfast.maintenance_sql(t)),
                                ('truncate_', case when holdfast.maintenance_sql(t) is not null
                                                   then 'perform holdfast.refuse_truncate_in_maintenance();' end)) x(name, head)
      join pg_proc p on p.proname = x.name || t.id and p.pronamespace = 'holdfast'::regnamespace
     where t.dropped_at is null and t.rule ? 'tenant' order by t.id
  loop
    execute left(f.def, strpos(f.def, heads[1]) + length(heads[1]) - 1) || coalesce(f.head || E'\n', '') || substr(f.def, strpos(f.def, heads[2]));
  end loop;
end $$;

-- Copies of persons ----------------------------------------------------------------------------------------------------

-- A person whose rows were copied into another tenant stands there under another key. Erasing them means erasing their copies.
create table holdfast.person_copies (
  tenant       text collate "C" not null,
  person       text collate "C" not null,
  copy_tenant  text collate "C" not null,
  copy         text collate "C" not null,
  xid          bigint not null,
  at           timestamptz not null default clock_timestamp()
);
create index person_copies_person on holdfast.person_copies (person);
create index person_copies_copy on holdfast.person_copies (copy);

alter table holdfast.person_copies enable row level security;
alter table holdfast.person_copies force row level security;
create policy operator on holdfast.person_copies to current_user using (coalesce(current_setting('holdfast.tenant', true), '') = '');

revoke all on function holdfast.check_request(), holdfast.log_request(), holdfast.maintenance_sql(holdfast.tables),
  holdfast.refuse_in_maintenance(text, text[]), holdfast.refuse_truncate_in_maintenance(), holdfast.fence_maintenance() from public;
