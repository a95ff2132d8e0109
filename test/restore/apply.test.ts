import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type pg from 'pg';
import { bind } from '../../core/datamap/bind.ts';
import type { BoundMap, DataMap, Reach } from '../../core/datamap/types.ts';
import type { Text } from '../../core/history/types.ts';
import { type Applied, apply, prepare } from '../../core/restore/apply.ts';
import type { Net, NetState } from '../../core/restore/fold.ts';
import { actAsTenant } from '../../core/restore/rowSecurity.ts';
import { Stage } from '../../core/restore/stage.ts';
import { readTargets } from '../../core/restore/target.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const SCHEMA = `
create domain code as text check (value ~ '^[a-z0-9]+$');
create table org (id int primary key);
create table outsider (id int primary key, person_id int);
create table team (id int primary key, org_id int not null references org on delete cascade, lead_id int not null);
create table person (
  id int primary key, org_id int not null references org on delete cascade, team_id int not null references team,
  code code not null unique, slot int unique, note text, shout text generated always as (upper(note)) stored,
  boss_id int references person on delete cascade);
alter table team add foreign key (lead_id) references person;
alter table outsider add foreign key (person_id) references person on delete cascade;
create table item (id int generated always as identity primary key, org_id int not null references org,
  person_id int not null references person on delete cascade, during int4range, exclude using gist (during with &&));
create table ledger (id int primary key, org_id int not null, label text unique, stamp timestamptz not null default now());
create function stamp() returns trigger language plpgsql as $$ begin new.stamp = '2099-01-01Z'; return new; end $$;
create trigger stamp before insert or update on ledger for each row execute function stamp();
insert into org values (1), (2);
`;
const ROWS = `
with t as (insert into team values (10, 1, 100), (20, 2, 200)),
     p as (insert into person (id, org_id, team_id, code, slot, note, boss_id) values
       (100, 1, 10, 'a', 1, 'one', null), (101, 1, 10, 'b', 2, 'two', 100), (102, 1, 10, 'c', null, null, 101), (200, 2, 20, 'z', 9, 'zed', null))
select 1;
insert into item (org_id, person_id, during) values (1, 100, '[1,5)'), (1, 101, '[5,9)'), (2, 200, '[20,30)');
insert into ledger values (1, 1, 'x', '2020-01-01Z'), (2, 1, 'y', '2020-01-01Z'), (3, 2, 'z', '2020-01-01Z');
update ledger set stamp = '2020-01-01Z';
`;

const TABLES = ['org', 'team', 'person', 'item', 'ledger'];
const orgColumn: Reach = { kind: 'column', column: 'org_id' };
const map: DataMap = {
  tenants: { table: 'public.org', key: 'id' },
  tables: TABLES.map((name) => ({
    name: `public.${name}`,
    tenant: name === 'org' ? { kind: 'column', column: 'id' } : orgColumn,
    columns: {},
    erase: 'delete',
  })),
  excluded: ['public.outsider'],
};

let database: TestDatabase;
let client: pg.Client;
let bound: BoundMap;

beforeAll(async () => {
  database = await createDatabase();
  client = await database.client();
  await client.query('set search_path to public');
  await client.query(SCHEMA);
  await client.query(await readFile('sql/0001_history.sql', 'utf8'));
  await client.query('set search_path to pg_catalog');
  const raw = await bind(client, map);
  bound = { ...raw, tables: raw.tables.map((t, i) => ({ ...t, id: i + 1 })) };
});
afterAll(() => database.drop());
beforeEach(async () => {
  await client.query('set search_path to public');
  await client.query('alter table ledger disable trigger stamp');
  await client.query(`truncate ${TABLES.join(', ')}, outsider restart identity; insert into org values (1), (2)`);
  await client.query(ROWS);
  await client.query('alter table ledger enable trigger stamp');
  await client.query('set search_path to pg_catalog');
});

const net = (table: string, key: string, state: NetState): Net => ({
  table: bound.tables.find((t) => t.relname === table)!.id,
  record: key,
  state,
});
const absent = (table: string, key: number) => net(table, String(key), { kind: 'absent' });
const full = (table: string, row: Record<string, Text>) => net(table, row.id!, { kind: 'full', row });
const partial = (table: string, key: number, set: Record<string, Text>) =>
  net(table, String(key), { kind: 'partial', set });

async function restore(nets: Net[], userTriggers: 'suspend' | 'fire' = 'suspend'): Promise<Applied> {
  await client.query('begin isolation level repeatable read');
  try {
    const stage = new Stage(client, await readTargets(client, bound.tables), (_, record) => [record]);
    await stage.load(
      (async function* () {
        yield* nets;
      })(),
    );
    const options = { bound, tenant: '1', userTriggers };
    const applied = await apply(client, await prepare(client, stage, options), options);
    await client.query('commit');
    return applied;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

const rows = async (sql: string): Promise<unknown[]> =>
  (await client.query({ text: sql, rowMode: 'array' })).rows.map((r: unknown[]) => (r.length === 1 ? r[0] : r));
const snapshot = async () => {
  const all: unknown[] = [];
  for (const t of [...TABLES, 'outsider']) all.push(await rows(`select row(t)::text from public.${t} t order by 1`));
  return all;
};

test('inserts, updates and deletes, with parents and children in any order', async () => {
  const applied = await restore([
    absent('item', 1),
    full('person', { id: '103', org_id: '1', team_id: '11', code: 'd', slot: null, note: 'new', boss_id: '104' }),
    full('person', { id: '104', org_id: '1', team_id: '11', code: 'e', slot: null, note: null, boss_id: '103' }),
    full('team', { id: '11', org_id: '1', lead_id: '103' }),
    partial('person', 101, { boss_id: '104', note: 'TWO' }),
    partial('person', 102, { note: null }),
    full('item', { id: '7', org_id: '1', person_id: '103', during: '[1,3)' }),
  ]);
  expect(applied.tables).toEqual({
    'public.item': { inserted: 1, updated: 0, deleted: 1 },
    'public.person': { inserted: 2, updated: 1, deleted: 0 },
    'public.team': { inserted: 1, updated: 0, deleted: 0 },
  });
  expect(await rows('select id, boss_id, shout from public.person where org_id = 1 order by id')).toEqual([
    [100, null, 'ONE'],
    [101, 104, 'TWO'],
    [102, 101, null],
    [103, 104, 'NEW'],
    [104, 103, null],
  ]);
  expect(await rows('select id from public.item where org_id = 1 order by id')).toEqual([2, 7]);
});

test('unique values are swapped, by replacing the rows where nothing notices and by parking where a cascade would', async () => {
  await restore([partial('ledger', 1, { label: 'y' }), partial('ledger', 2, { label: 'x' })]);
  expect(await rows('select id, label from public.ledger where org_id = 1 order by id')).toEqual([
    [1, 'y'],
    [2, 'x'],
  ]);
  await restore([
    partial('person', 100, { code: 'b', slot: '2' }),
    partial('person', 101, { code: 'c', slot: '1' }),
    partial('person', 102, { code: 'a' }),
  ]);
  expect(await rows('select id, code, slot from public.person where org_id = 1 order by id')).toEqual([
    [100, 'b', 2],
    [101, 'c', 1],
    [102, 'a', null],
  ]);
  expect(await rows('select count(*)::int from public.item')).toEqual([3]);
  await restore([partial('item', 1, { during: '[5,9)' }), partial('item', 2, { during: '[1,5)' })]);
  expect(await rows('select id, during::text from public.item order by id')).toEqual([
    [1, '[5,9)'],
    [2, '[1,5)'],
    [3, '[20,30)'],
  ]);
});

test('a delete held back by rows that still point there frees its unique value in the same statement; a row that is re-pointed away is not swept off by the cascade', async () => {
  await restore([
    absent('person', 101),
    full('person', { id: '105', org_id: '1', team_id: '10', code: 'b', slot: '2', note: null, boss_id: null }),
    partial('person', 102, { boss_id: '105' }),
    partial('item', 2, { person_id: '105' }),
  ]);
  expect(await rows('select id, boss_id from public.person where org_id = 1 order by id')).toEqual([
    [100, null],
    [102, 105],
    [105, null],
  ]);
  expect(await rows('select id, person_id from public.item order by id')).toEqual([
    [1, 100],
    [2, 105],
    [3, 200],
  ]);
});

test('rows that the restore does not include are never swept away: it is refused and they are named', async () => {
  await client.query('insert into public.outsider values (1, 101)');
  const before = await snapshot();
  await expect(
    restore([absent('person', 101), partial('person', 102, { boss_id: null }), absent('item', 2)]),
  ).rejects.toMatchObject({
    code: 'HF_RESTORE_CONFLICT',
    details: { stranded: [{ constraint: 'outsider_person_id_fkey', rows: ['(1,101)'] }] },
  });
  await expect(restore([absent('person', 101), absent('item', 2)])).rejects.toMatchObject({
    code: 'HF_RESTORE_CONFLICT',
  });
  expect(await snapshot()).toEqual(before);
});

test('a violated constraint refuses the whole restore and names constraint and row', async () => {
  const before = await snapshot();
  await expect(
    restore([partial('person', 100, { note: 'x' }), partial('person', 102, { code: 'z' })]),
  ).rejects.toMatchObject({
    code: 'HF_RESTORE_CONFLICT',
    details: { constraint: 'person_code_key', rows: expect.stringContaining('(code)=(z)') },
  });
  await expect(restore([partial('person', 102, { team_id: '99' })])).rejects.toMatchObject({
    details: { constraint: 'person_team_id_fkey' },
  });
  expect(await snapshot()).toEqual(before);
});

test('a row of another tenant is refused before anything is written, wherever it comes from', async () => {
  const before = await snapshot();
  await expect(restore([partial('ledger', 1, { org_id: '2' })])).rejects.toMatchObject({ code: 'HF_RESTORE_FOREIGN' });
  await expect(
    restore([full('ledger', { id: '3', org_id: '1', label: 'q', stamp: '2020-01-01' })]),
  ).rejects.toMatchObject({
    code: 'HF_RESTORE_CONFLICT',
    details: { constraint: 'ledger_pkey' },
  });
  expect((await restore([absent('ledger', 3)])).tables).toEqual({});
  expect(await snapshot()).toEqual(before);
});

test('user triggers rest by default and come back; left to fire, a restore that they alter is refused and they are named', async () => {
  const nets = [partial('ledger', 1, { label: 'w' })];
  await expect(restore(nets, 'fire')).rejects.toMatchObject({
    code: 'HF_RESTORE_DIFFERS',
    details: { triggers: ['stamp on public.ledger'], differences: [{ record: '1', columns: ['stamp'] }] },
  });
  const applied = await restore(nets);
  expect(applied.suspended).toEqual([{ table: 'public.ledger', trigger: 'stamp' }]);
  expect(await rows('select label, stamp::text from public.ledger where id = 1')).toEqual([
    ['w', '2020-01-01 00:00:00+00'],
  ]);
  expect(await rows("select tgenabled::text from pg_trigger where tgname = 'stamp'")).toEqual(['O']);
});

test('a role that row-level security binds acts as the tenant; a policy that names no setting is refused', async () => {
  const tables = bound.tables.filter((t) => t.relname === 'ledger');
  const setting = async () => (await rows("select current_setting('app.org', true)"))[0] || null;
  const asRole = async (policy: string, work: () => Promise<void>) => {
    await client.query('begin');
    await client.query(`create role bound_role; alter table public.ledger owner to bound_role; grant usage on schema public to bound_role;
      alter table public.ledger enable row level security; alter table public.ledger force row level security;
      create policy own on public.ledger using (${policy}); set local role bound_role`);
    await work();
    await client.query('rollback');
  };
  await asRole("org_id = current_setting('app.org')::int", async () => {
    await actAsTenant(client, tables, '1');
    expect(await setting()).toBe('1');
    expect(await rows('select count(*)::int from public.ledger')).toEqual([2]);
  });
  await asRole('org_id = 1', () =>
    expect(actAsTenant(client, tables, '1')).rejects.toMatchObject({ code: 'HF_ROW_SECURITY' }),
  );
  await actAsTenant(client, tables, '1');
  expect(await setting()).toBe(null);
});
