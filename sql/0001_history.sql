-- History: the trail of every change to every protected row, and the moments at which it can be cut.
-- Applied by `holdfast install` inside one transaction; everything Holdfast owns lives in this schema.

create schema holdfast;
comment on schema holdfast is 'Holdfast: history, catalog and settings. Removed whole by "holdfast uninstall".';

-- One row. `epoch` names this life of the database: transaction ids and snapshots compare only within one epoch, and a
-- database that was restored from a backup starts a new one.
create table holdfast.installation (
  only_row   boolean primary key default true check (only_row),
  epoch      uuid not null default gen_random_uuid(),
  version    integer not null,
  installed_at timestamptz not null default clock_timestamp()
);

-- Which of the numbered files in sql/ have been applied.
create table holdfast.migrations (
  name        text primary key,
  sha256      text not null,
  applied_at  timestamptz not null default clock_timestamp()
);

-- Protected tables. The id is what the trail carries, so that a table may be renamed.
create table holdfast.tables (
  id            integer primary key generated always as identity,
  oid           oid unique,                   -- null once the table was dropped; its history stays
  name          text not null,
  rule          jsonb not null,               -- by attribute number, so that columns may be renamed; see 0005_capture.sql
  leaves        oid[] not null default '{}',  -- partitions that were there when its triggers were last generated
  protected_at  timestamptz not null,         -- the horizon from which on its history is whole
  dropped_at    timestamptz
);
create unique index tables_name on holdfast.tables (name) where dropped_at is null;

-- What a table looked like from a given change on. ALTER TABLE holds an exclusive lock, so `from_seq` divides the table's
-- changes exactly. A barrier is a change of schema that history cannot be carried across; time travel refuses by name.
create table holdfast.table_versions (
  table_id  integer not null references holdfast.tables on delete cascade,
  version   integer not null,
  from_seq  bigint not null,
  xid       bigint not null,
  columns   jsonb not null,
  key       jsonb not null,
  barrier   text,
  noted_at  timestamptz not null default clock_timestamp(),
  primary key (table_id, version)
);

-- Taken by the trigger while the row's lock is held, so for one record its order is the order of the changes.
create sequence holdfast.seq as bigint;

-- Who did it: content-addressed, so that a session's context is stored once and not in every change, and one row is
-- scrubbed when a person is erased. Not unique on purpose: two sessions that store the same context at once must not wait.
create table holdfast.actors (
  id          uuid not null,
  user_id     text collate "C",
  user_email  text,
  session_id  text,
  ip_address  inet,
  user_agent  text
);
create index actors_id on holdfast.actors (id);
create index actors_user on holdfast.actors (user_id) where user_id is not null;

-- The trail. Text columns collate "C": comparing bytes is what the indexes need, and costs a fraction of a locale.
create table holdfast.trail (
  seq           bigint not null,
  before_seq    bigint,                       -- logged after its own effect (nested triggers): sorts just before this seq
  xid           bigint not null,              -- xid8; as bigint because BRIN has no operators for xid8
  at            timestamptz not null,         -- when it was written; visibility is a matter of cuts
  table_id      integer not null,
  action        "char" not null,              -- I U D T
  organization  text collate "C",
  record        text collate "C",
  person        text collate "C",
  user_id       text collate "C",
  actor         uuid,
  row_version   tid,                          -- U, D: the tuple that was replaced; I: the one that was made
  row_table     oid,                          -- the partition it stands in; null where the table has none
  changes       jsonb,                        -- I, D: {column: text}; U: {column: [old, new]}; null is SQL NULL
  metadata      jsonb
) partition by range (at);

create index trail_organization on holdfast.trail (organization, at);
create index trail_user on holdfast.trail (user_id, at) where user_id is not null;
create index trail_record on holdfast.trail (table_id, record, at);
create index trail_xid on holdfast.trail using brin (xid) with (pages_per_range = 32, autosummarize = on);

-- Moments whose cut is known: everything `snapshot` sees had committed by `moment`, nothing else had. Between two horizons,
-- `xids` and `committed` (parallel arrays, in commit order) say when each transaction became visible. `first_at` bounds
-- trail.at from below for those transactions, so that an index on time can be used.
-- Nothing happened between `moment` and `until`: a horizon is stretched, not repeated, while the database rests.
create table holdfast.horizons (
  id         bigint primary key generated always as identity,
  moment     timestamptz not null,
  until      timestamptz not null,
  snapshot   pg_snapshot not null,
  xids       bigint[] not null default '{}',
  committed  timestamptz[] not null default '{}',
  first_at   timestamptz,
  exact      boolean not null default true    -- false: the server keeps no commit times; only `moment` itself can be asked
);
create index horizons_moment on holdfast.horizons (moment);

-- The trail as an auditor reads it.
create view holdfast.audit_trail with (security_barrier) as
select c.seq, c.xid, c.organization, t.name as table_name, c.record as record_id,
       case c.action when 'I' then 'insert' when 'U' then 'update' when 'D' then 'delete' else 'truncate' end as action,
       c.user_id, a.user_email, c.changes, c.metadata, a.session_id, a.ip_address, a.user_agent,
       c.at as created_at, c.actor is null as context_missing
  from holdfast.trail c
  join holdfast.tables t on t.id = c.table_id
  left join lateral (select user_email, session_id, ip_address, user_agent
                       from holdfast.actors a where a.id = c.actor limit 1) a on true;

-- From 15 on a view can be read with the reader's own rights. Before, its owner's policy would apply to every reader, so the
-- view itself must hold the fence.
do $$
begin
  if current_setting('server_version_num')::int >= 150000 then
    execute 'alter view holdfast.audit_trail set (security_invoker = true)';
  else
    execute 'create or replace view holdfast.audit_trail with (security_barrier) as '
      || rtrim(pg_get_viewdef('holdfast.audit_trail'::regclass), ';')
      || format($fence$ where pg_has_role(current_user, %L, 'usage')
                          or c.organization = current_setting('holdfast.tenant', true)$fence$, current_user);
  end if;
end $$;

-- An ordinary role sees the rows of the tenant that it has set, if it was granted anything at all; the role that installed
-- Holdfast, which the trigger functions run as, sees all. FORCE, so that this holds whoever owns the tables.
alter table holdfast.trail enable row level security;
alter table holdfast.trail force row level security;
create policy installer on holdfast.trail to current_user using (true) with check (true);
create policy tenant on holdfast.trail for select using (organization = current_setting('holdfast.tenant', true));

alter table holdfast.actors enable row level security;
alter table holdfast.actors force row level security;
create policy installer on holdfast.actors to current_user using (true) with check (true);
create policy tenant on holdfast.actors for select using (exists (
  select from holdfast.trail t where t.actor = actors.id and t.organization = current_setting('holdfast.tenant', true)));
