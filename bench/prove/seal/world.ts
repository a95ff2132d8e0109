/** A small database whose trail is sealed in several batches, and copies of it to tamper with. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { DirectoryStore } from '../../../adapters/local/directoryStore.ts';
import { KeyFile } from '../../../adapters/local/keyFile.ts';
import { bind } from '../../../core/datamap/bind.ts';
import type { ColumnRule, DataMap } from '../../../core/datamap/types.ts';
import { install } from '../../../core/history/install.ts';
import { type SealContext, seal } from '../../../core/history/seal/seal.ts';
import { type VerifyOptions, type VerifyReport, verify } from '../../../core/history/seal/verify.ts';
import { createDatabase, type TestDatabase } from '../../../test/support/database.ts';
import type { Random } from '../suite.ts';

const open: ColumnRule = { class: 'none', sealed: false };
const personal: ColumnRule = { class: 'personal', sealed: true };
const column = (name: string) => ({ kind: 'column', column: name }) as const;

export const MAP: DataMap = {
  tenants: { table: 'app.tenants', key: 'id' },
  tables: [
    { name: 'app.tenants', tenant: column('id'), columns: { id: open, plan: open }, erase: 'delete' },
    {
      name: 'app.people',
      tenant: column('tenant'),
      person: column('id'),
      columns: { id: open, tenant: open, email: personal, name: personal, visits: open },
      erase: 'delete',
    },
    { name: 'app.rates', columns: { code: open, rate: open }, erase: 'delete' },
  ],
  excluded: [],
};

const SCHEMA = `
  create schema app;
  create table app.tenants (id text primary key, plan text);
  create table app.people (id int primary key, tenant text not null references app.tenants, email text, name text, visits int);
  create table app.rates (code text primary key, rate numeric);
`;

const TENANTS = ['acme', 'blue', 'corn', 'dune'];
/** Values that a format of lines could trip over. */
const WILD = [
  'Ada',
  'O\'Brien "the"',
  'tab\there',
  'new\nline',
  'back\\slash\\"',
  '\u2028Ünï',
  '',
  '{"redacted": 1}',
  '}',
  '[", "]',
];

export interface World {
  readonly ctx: SealContext & { readonly store: DirectoryStore; readonly keys: KeyFile };
  readonly database: TestDatabase;
  readonly directory: string;
  readonly client: pg.Client;
  verify(options?: VerifyOptions & { store?: false }): Promise<VerifyReport>;
  close(): Promise<void>;
}

export async function emptyWorld(serverUrl?: string): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-seal-'));
  await KeyFile.create(join(directory, 'key'));
  const database = await createDatabase({ prefix: 'seal', ...(serverUrl && { serverUrl }) });
  const world = await openWorld(directory, database);
  await world.client.query(SCHEMA);
  await install(world.client, await bind(world.client, MAP));
  for (const tenant of TENANTS) await world.client.query('insert into app.tenants values ($1, $2)', [tenant, 'free']);
  return world;
}

/** A copy of everything; the original must have no connection open. */
export async function copyWorld(world: World, serverUrl?: string): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-seal-'));
  await cp(world.directory, directory, { recursive: true });
  const options = { prefix: 'seal', template: world.database.name };
  return openWorld(directory, await createDatabase({ ...options, ...(serverUrl && { serverUrl }) }));
}

async function openWorld(directory: string, database: TestDatabase): Promise<World> {
  const keys = await KeyFile.open(join(directory, 'key'));
  const store = DirectoryStore.open(join(directory, 'store'));
  const ctx = { databaseUrl: database.url, keys, store, map: MAP };
  return {
    ctx,
    database,
    directory,
    client: await database.client(),
    verify({ store: withStore, ...options } = {}) {
      return verify({ databaseUrl: database.url, trust: keys, ...(withStore !== false && { store }) }, options);
    },
    async close() {
      await database.drop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

let people = 0;

/** One transaction of someone's work: inserts, updates, moves, deletes, now and then without a tenant or an actor. */
export async function work(client: pg.Client, random: Random): Promise<void> {
  await client.query('begin');
  if (random.chance(0.8)) {
    const who = random.int(6);
    await client.query('select holdfast.set_actor($1, $2, $3, $4, $5)', [
      `user-${who}`,
      `user${who}@example.org`,
      `session-${random.int(3)}`,
      random.chance(0.5) ? '10.0.0.7' : null,
      random.pick(WILD),
    ]);
  }
  const tenant = random.pick(TENANTS);
  for (let i = 0; i < 1 + random.int(4); i++) {
    people += 1;
    await client.query('insert into app.people values ($1, $2, $3, $4, 0)', [
      people,
      tenant,
      random.pick(WILD),
      random.chance(0.2) ? null : random.pick(WILD),
    ]);
  }
  const some = `(select id from app.people where tenant = '${tenant}' order by md5(id::text || '${random.int(1e6)}') limit 3 for update skip locked)`;
  const kind = random.int(5);
  if (kind < 2)
    await client.query(`update app.people set visits = visits + 1, name = $1 where id in ${some}`, [random.pick(WILD)]);
  if (kind === 2) await client.query(`update app.people set email = email || 'x' where id in ${some}`);
  if (kind === 3) await client.query(`delete from app.people where id in ${some}`);
  if (kind === 4) {
    await client.query('insert into app.rates values ($1, 1) on conflict (code) do update set rate = rates.rate + 1', [
      `r${random.int(5)}`,
    ]);
    await client.query(
      `update app.people set tenant = $1 where id = (select id from app.people where tenant = '${tenant}' order by id limit 1 for update skip locked)`,
      [random.pick(TENANTS)],
    );
  }
  await client.query('commit');
}

/** `batches` batches of `transactions` each. */
export async function fillWorld(world: World, random: Random, batches: number, transactions: number): Promise<void> {
  for (let i = 0; i < batches; i++) {
    for (let n = 0; n < transactions; n++) await work(world.client, random);
    await seal(world.ctx);
  }
}
