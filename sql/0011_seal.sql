-- Seals: the trail in signed segments. docs/sealing.md is the format; core/history/seal writes and verifies it. Nothing in here
-- is trusted when it is read: it is checked against signatures made with a key that the database does not have.

-- The log of seals: numbered, each naming the digest of the one before, each signed. `document` is what was signed, to the byte.
create table holdfast.seal_entries (
  number    bigint primary key,
  document  text not null
);

-- One chain of segments per tenant, one (tenant is null) for rows that belong to none. `head` is the digest of its newest
-- segment; numbers are dense, because they are places in the tree of heads.
create table holdfast.seal_chains (
  id        integer primary key,
  tenant    text collate "C",
  segments  bigint not null,
  head      bytea not null
);
create unique index seal_chains_tenant on holdfast.seal_chains (coalesce('t' || tenant, ''));

-- `leaves`: for each row its seq (8 bytes) and the digest of the row (32), in the order of seq.
create table holdfast.seal_segments (
  chain     integer not null,
  number    bigint not null,
  entry     bigint not null,
  tenant    text collate "C",
  first_seq bigint not null,
  last_seq  bigint not null,
  header    text not null,
  leaves    bytea not null,
  primary key (chain, number)
);
create index seal_segments_entry on holdfast.seal_segments (entry);
-- Digests do not compress.
alter table holdfast.seal_segments alter column leaves set storage external;

-- 16 random bytes per leaf: what keeps a personal value from being guessed by its digest. Apart, because they are erased with
-- the value, and go with history that is pruned.
create table holdfast.seal_salts (
  chain     integer not null,
  number    bigint not null,
  salts     bytea not null,
  primary key (chain, number)
);
alter table holdfast.seal_salts alter column salts set storage external;

-- Which columns stand in the open in a leaf, by the digest that segments name; all others are committed to.
create table holdfast.seal_rules (
  sha256    text primary key,
  document  text not null
);

-- Rows that were scrubbed lawfully: the commitment as it was sealed, and salt and commitment of what is left of the row. `entry`
-- is the signed entry that vouches for it; of several for one row the last counts, and the others have lost their salt.
create table holdfast.seal_redactions (
  seq       bigint not null,
  chain     integer not null,
  entry     bigint not null,
  sealed    bytea not null,
  salt      bytea,
  rest      bytea not null,
  primary key (seq, entry)
);
create index seal_redactions_entry on holdfast.seal_redactions (entry);

do $$
declare
  t text;
begin
  foreach t in array array['seal_entries', 'seal_chains', 'seal_segments', 'seal_salts', 'seal_rules', 'seal_redactions'] loop
    execute format('alter table holdfast.%I enable row level security, force row level security', t);
    execute format('create policy installer on holdfast.%I to current_user using (true) with check (true)', t);
  end loop;
end $$;
create policy tenant on holdfast.seal_segments for select using (tenant = current_setting('holdfast.tenant', true));
