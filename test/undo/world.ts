/** A small protected database with every kind of constraint, and people who work in it. */
import type pg from 'pg';
import { noLedger } from '../../adapters/local/noLedger.ts';
import type { Context } from '../../core/context.ts';
import { bind } from '../../core/datamap/bind.ts';
import type { BoundMap, DataMap } from '../../core/datamap/types.ts';
import { install } from '../../core/history/install.ts';
import { tenantDigest } from '../../core/restore/digest.ts';
import { createDatabase } from '../support/database.ts';

const SCHEMA = `
create domain code as text check (value ~ '^[a-z0-9]+$');
create table tenant (id text primary key, name text, plan text not null default 'free');
create table shared (id int primary key, note text);
create table team (id int primary key, tenant_id text not null references tenant, name text not null, lead_id int);
create table person (
  id int primary key, tenant_id text not null references tenant, team_id int not null references team,
  email text not null unique, slug code, age int check (age > 0), low int, high int, check (low <= high),
  note text, shout text generated always as (upper(note)) stored, boss_id int references person on delete set null, settings jsonb);
alter table team add foreign key (lead_id) references person deferrable initially deferred;
create table task (id int generated always as identity primary key, tenant_id text not null references tenant,
  person_id int not null references person on delete cascade, title text not null, done boolean not null default false);
create table room (tenant_id text not null references tenant, building text, number int, during int4range not null,
  primary key (tenant_id, building, number), exclude using gist (during with &&));
create table plain (id int primary key, tenant_id text not null, value text);
insert into tenant values ('a', 'Alpha'), ('b', 'Beta');
insert into shared values (1, 'one');
`;

const TABLES = ['tenant', 'team', 'person', 'task', 'room', 'plain'];

const MAP: DataMap = {
  tenants: { table: 'public.tenant', key: 'id' },
  tables: [
    ...TABLES.map((name) => ({
      name: `public.${name}`,
      tenant: { kind: 'column', column: name === 'tenant' ? 'id' : 'tenant_id' } as const,
      columns: {},
      erase: 'delete' as const,
    })),
    { name: 'public.shared', columns: {}, erase: 'delete' as const },
  ],
  excluded: [],
};

export interface World {
  readonly client: pg.Client;
  readonly ctx: Context;
  readonly bound: BoundMap;
  /** One transaction by somebody; returns its xid. `who`: "ann" or "ann/session". */
  as(who: string, ...statements: string[]): Promise<string>;
  /** Values of one column, or rows as arrays. */
  rows(sql: string): Promise<unknown[]>;
  digest(): Promise<unknown>;
  /** The database's clock, just after everything so far. */
  now(): Promise<string>;
  drop(): Promise<void>;
}

export async function world(serverUrl?: string): Promise<World> {
  const database = await createDatabase({ prefix: 'undo', ...(serverUrl ? { serverUrl } : {}) });
  const client = await database.client();
  await client.query('set search_path to public');
  await client.query(SCHEMA);
  await client.query('set search_path to pg_catalog');
  await install(client, await bind(client, MAP));
  const bound = await bind(client, MAP);
  const ctx = { databaseUrl: database.url, map: MAP, ledger: noLedger } as unknown as Context;
  return {
    client,
    ctx,
    bound,
    async as(who, ...statements) {
      const [user, session] = who.split('/');
      await client.query('begin');
      try {
        await client.query('set local search_path to public');
        await client.query('select holdfast.set_actor($1, null, $2)', [user, session ?? null]);
        for (const statement of statements) await client.query(statement);
        const { rows } = await client.query('select pg_current_xact_id()::text as xid');
        await client.query('commit');
        return rows[0].xid as string;
      } catch (error) {
        await client.query('rollback');
        throw error;
      }
    },
    async rows(sql) {
      await client.query('set search_path to public');
      const result = await client.query({ text: sql, rowMode: 'array' });
      await client.query('set search_path to pg_catalog');
      return result.rows.map((r: unknown[]) => (r.length === 1 ? r[0] : r));
    },
    digest: () => tenantDigest(client, bound, null),
    async now() {
      const { rows } = await client.query(
        `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now`,
      );
      return rows[0].now as string;
    },
    drop: () => database.drop(),
  };
}
