-- Fifteen columns of the usual kinds, and the peer: one generic trigger that writes whole rows as JSONB with the same H1
-- columns and the same indexes.
create table public.accounts (
  id           bigint primary key,
  tenant_id    uuid not null,
  owner_id     bigint,
  email        text not null,
  name         text not null,
  status       text not null default 'active',
  balance      numeric(12, 2) not null default 0,
  visits       integer not null default 0,
  score        double precision not null default 0,
  verified     boolean not null default false,
  birthday     date,
  settings     jsonb not null default '{}',
  tags         text[] not null default '{}',
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now()
);

insert into public.accounts (id, tenant_id, owner_id, email, name, balance, visits, score, birthday, settings, tags)
select g, md5((g % 500)::text)::uuid, g % 9000, 'person' || g || '@example.org', 'Person number ' || g, g % 1000, g % 7, g / 3.0,
       date '1950-01-01' + g % 20000, '{"theme": "dark", "digest": true, "locale": "en-GB"}', array['a', 'tag' || g % 20]
  from generate_series(1, {rows}) g;
vacuum analyze public.accounts;
