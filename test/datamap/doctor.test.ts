import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type pg from 'pg';
import { doctor } from '../../core/datamap/doctor.ts';
import { parseMap } from '../../core/datamap/parse.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const SCHEMA = `
  create table orgs (id int primary key, name text);
  create table users (id int primary key, org_id int not null references orgs, email text);
  create index on users (org_id);
  create table notes (id int primary key, user_id int not null references users, body text);
  create index on notes (user_id);
  insert into orgs values (1, 'a');
  insert into users values (1, 1, 'x@a');`;

const MAP = `
version: 1
tenant: orgs(id)
person: users(id)
tables:
  orgs: {tenant: id, columns: {internal: [id, name]}}
  users: {tenant: org_id, person: id, columns: {internal: [id, org_id], personal: [email]}}
  notes: {tenant: via user_id, person: user_id, columns: {internal: [id, user_id], sensitive: [body]}}
`;

let database: TestDatabase;
let client: pg.Client;
beforeAll(async () => {
  database = await createDatabase();
  client = await database.client();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await client.query('drop schema public cascade; create schema public');
  await run(SCHEMA);
});

async function run(sql: string): Promise<void> {
  await client.query(`set search_path = public; ${sql}; set search_path = pg_catalog`);
}

/** Findings other than that nothing is installed, which other tests look at. */
async function findings(map = MAP) {
  const found = await doctor(client, parseMap(map));
  expect(found.map((f) => f.code)).toContain('HF_NOT_INSTALLED');
  return found.filter((f) => f.code !== 'HF_NOT_INSTALLED');
}

test('a sound database that is not installed has one finding', async () => {
  expect(await findings()).toEqual([]);
});

test('a table that the map does not know comes with the rule to write', async () => {
  await run(
    'create table drafts (id int primary key, user_id int not null references users on delete cascade, body text)',
  );
  const [finding, ...others] = await findings();
  expect(others).toEqual([]);
  expect(finding).toMatchObject({ code: 'HF_TABLE_UNMAPPED', severity: 'error', table: 'public.drafts' });
  const lines = finding!.mend.split('\n');
  const rule = lines
    .slice(
      1,
      lines.findIndex((line) => line.startsWith('or,')),
    )
    .join('\n');
  const mended = await findings(`${MAP}${rule}\n`);
  expect(mended.map((f) => f.code)).toEqual(['HF_TENANT_INDEX_MISSING']);
  expect(await findings(`${MAP}${mended.length > 0 ? 'exclude:\n  - public.drafts\n' : ''}`)).toEqual([]);
});

// Each: what is done to the database, to the map, and the one finding that it gives.
type Case = [string, string, (map: string) => string, Record<string, unknown>];
const same = (map: string) => map;
const cases: Case[] = [
  [
    'a new column',
    'alter table users add nickname text',
    same,
    {
      code: 'HF_COLUMN_UNCLASSED',
      severity: 'error',
      table: 'public.users',
      column: 'nickname',
      mend: expect.stringContaining('  personal: [nickname]'),
    },
  ],
  [
    'a table without key',
    'alter table notes drop constraint notes_pkey',
    same,
    { code: 'HF_TABLE_KEYLESS', severity: 'warning', mend: expect.stringContaining('primary key') },
  ],
  [
    'a personal key',
    '',
    (m) => m.replace('internal: [id, org_id], personal: [email]', 'internal: [org_id], personal: [email, id]'),
    { code: 'HF_KEY_PERSONAL', severity: 'error', table: 'public.users', column: 'id' },
  ],
  [
    "personal data that is no one's",
    '',
    (m) => m.replace('internal: [id, name]', 'internal: [id], personal: [name]'),
    {
      code: 'HF_PERSONAL_UNOWNED',
      severity: 'warning',
      table: 'public.orgs',
      mend: expect.stringContaining('unsealed: [name]'),
    },
  ],
  [
    'a path that may be NULL',
    'alter table notes alter user_id drop not null',
    same,
    {
      code: 'HF_PATH_NULLABLE',
      severity: 'warning',
      mend: 'alter table "public"."notes" alter column "user_id" set not null;',
    },
  ],
  [
    'a path without foreign key',
    'alter table notes drop constraint notes_user_id_fkey',
    (m) => m.replace('via user_id', 'via user_id -> users(id)'),
    {
      code: 'HF_PATH_UNCHECKED',
      severity: 'warning',
      mend: 'alter table "public"."notes" add foreign key ("user_id") references "public"."users" ("id");',
    },
  ],
  [
    'a tenant column without index',
    'drop index users_org_id_idx',
    same,
    {
      code: 'HF_TENANT_INDEX_MISSING',
      severity: 'warning',
      mend: 'create index concurrently on "public"."users" ("org_id");',
    },
  ],
  [
    'an unlogged table',
    'alter table notes set unlogged',
    same,
    { code: 'HF_TABLE_UNLOGGED', severity: 'warning', mend: 'alter table "public"."notes" set logged;' },
  ],
  ['a table in the map only', 'drop table notes', same, { code: 'HF_TABLE_UNKNOWN', severity: 'error' }],
  [
    'a column in the map only',
    'alter table notes drop body',
    same,
    { code: 'HF_COLUMN_UNKNOWN', severity: 'error', mend: expect.stringContaining('Columns there are') },
  ],
  [
    'a path to nowhere',
    '',
    (m) => m.replace('via user_id', 'via user_id -> users(email)'),
    { code: 'HF_REACH_INVALID', severity: 'error' },
  ],
  [
    'a constraint trigger',
    `create function f() returns trigger language plpgsql as 'begin return null; end';
     create constraint trigger watch after update on notes for each row execute function f()`,
    same,
    { code: 'HF_TRIGGER_RUNS_ON_RESTORE', severity: 'warning', table: 'public.notes' },
  ],
  [
    'a foreign table',
    `create foreign data wrapper nothing; create server far foreign data wrapper nothing; create foreign table far_away (id int) server far`,
    same,
    { code: 'HF_TABLE_UNSUPPORTED', severity: 'warning', table: 'public.far_away' },
  ],
];

test.each(cases)('finds %s', async (_, ddl, edit, expected) => {
  await run(ddl);
  const found = await findings(edit(MAP));
  await client.query('drop foreign data wrapper if exists nothing cascade');
  expect(found).toEqual([expect.objectContaining(expected)]);
});

test('finds rows that row-level security hides and rights that are missing, until they are mended', async () => {
  await run('alter table notes enable row level security; alter table notes force row level security');
  expect(await findings()).toEqual([]); // a superuser sees everything
  await client.query('create role keeper; grant all on schema public to keeper');
  await run('alter table orgs owner to keeper; alter table users owner to keeper; alter table notes owner to keeper');
  try {
    await client.query('set role keeper');
    const [finding, scratch] = await findings();
    expect(finding).toMatchObject({ code: 'HF_ROWS_HIDDEN', severity: 'error', table: 'public.notes' });
    await client.query(finding!.mend);
    expect(scratch).toMatchObject({ code: 'HF_SCRATCH_DENIED', severity: 'warning' }); // no restore tests
    await client.query(`reset role; ${scratch!.mend.split('--')[0]} set role keeper`);
    expect(await findings()).toEqual([]);
    await client.query('create policy not_all on public.notes as restrictive using (id < 10)');
    expect((await findings()).map((f) => f.code)).toEqual(['HF_ROWS_HIDDEN']);
  } finally {
    await client.query('reset role; drop owned by keeper cascade; drop role keeper');
  }
});

test('finds a tenant column that may be spelled in several ways', async () => {
  await run(`create collation whatever (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create table spaces (code text collate whatever primary key);
    create table things (id int primary key, code text collate whatever not null references spaces);
    create index on things (code)`);
  const map = `version: 1\ntenant: spaces(code)\ntables:
  spaces: {tenant: code, columns: {internal: [code]}}
  things: {tenant: code, columns: {internal: [id, code]}}
exclude: [orgs, users, notes]\n`;
  const found = await findings(map);
  expect(found).toMatchObject([
    { code: 'HF_OWNER_SPELLING', severity: 'error', table: 'public.things', column: 'code' },
  ]);
  expect(
    await findings(map.replace('things: {tenant: code', 'things: {tenant: via code -> public.spaces(code)')),
  ).toEqual([]);
});

test('counts rows whose tenant is NULL', async () => {
  await run(`alter table notes alter user_id drop not null; alter table notes drop constraint notes_user_id_fkey;
    insert into notes values (1, 1), (2, null), (3, 99)`);
  const found = await findings(MAP.replace('via user_id', 'via user_id -> users(id)'));
  expect(found.map((f) => f.code)).toEqual(['HF_PATH_NULLABLE', 'HF_PATH_UNCHECKED', 'HF_TENANT_NULL']);
  expect(found[2]!.message).toMatch(/^2 rows of public.notes belong to no tenant/);
  const query = found[2]!.mend.split('\n')[1]!;
  expect((await client.query(query)).rows.map((row) => row.id)).toEqual([2, 3]);
});

test('an inherited table would be read twice', async () => {
  await run('create table more (primary key (id)) inherits (notes)');
  const found = await findings(
    `${MAP}  more: {tenant: via user_id -> users(id), person: user_id, columns: {internal: [id, user_id], sensitive: [body]}}\n`,
  );
  expect(found[0]).toMatchObject({ code: 'HF_TABLE_INHERITS', severity: 'error', table: 'public.more' });
});

test('tables of another owner cannot be protected by this role', async () => {
  await client.query(
    'create role visitor; grant usage on schema public to visitor; grant select on public.users to visitor',
  );
  try {
    await client.query('set role visitor');
    const found = await findings();
    const codes = found.map((f) => [f.code, f.table]);
    expect(codes).toContainEqual(['HF_TABLE_NOT_OWNED', 'public.users']);
    expect(found.every((f) => f.mend.length > 0)).toBe(true);
  } finally {
    await client.query('reset role; drop owned by visitor; drop role visitor');
  }
});
