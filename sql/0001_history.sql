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

-- Protected tables. The id is what the trail carries, so that a table may be renamed.
create table holdfast.tables (
  id            integer primary key generated always as identity,
  oid           oid not null unique,
  name          text not null unique,
  rule          jsonb not null,
  protected_at  timestamptz not null default clock_timestamp()
);

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
create index actors_user on holdfast.actors (user_id);

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
  row_version   text collate "C",             -- which tuple this change replaced, where one transaction changed it before
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
create table holdfast.horizons (
  id         bigint primary key generated always as identity,
  moment     timestamptz not null,
  snapshot   pg_snapshot not null,
  xids       bigint[] not null default '{}',
  committed  timestamptz[] not null default '{}',
  first_at   timestamptz,
  exact      boolean not null default true    -- false: the server keeps no commit times; only `moment` itself can be asked
);
create index horizons_moment on holdfast.horizons (moment);
