import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type pg from 'pg';
import { checkIntegrity } from '../../core/datamap/integrity/integrity.ts';
import type { IntegrityFinding, IntegrityReport } from '../../core/datamap/integrity/types.ts';
import { parseMap } from '../../core/datamap/parse.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const SCHEMA = `
create table public.orgs (id int primary key, name text);
create table public.users (id uuid primary key default gen_random_uuid(), org_id int not null references public.orgs, name text);
create table public.projects (id int primary key, org_id int references public.orgs, title text);
create table public.tasks (id int primary key, project_id int not null references public.projects, parent_id int references public.tasks,
  user_id uuid, done_by uuid);
create table public.logs (id int, line text);
create table public.colours (code text primary key);
create table public.badges (id int primary key, org_id int references public.orgs);
create table public.prices (id int primary key, colour_code text);

insert into public.orgs values (1, 'one'), (2, 'two');
insert into public.users (org_id, name) select 1 + g % 2, 'u' || g from generate_series(1, 20) g;
insert into public.projects values (1, 1, 'a'), (2, 2, 'b');
insert into public.tasks select g, 1, null, (select id from public.users where org_id = 1 order by id limit 1), (select id from public.users order by id offset g % 5 limit 1)
  from generate_series(1, 10) g;
-- a task of tenant 2 under a task of tenant 1
insert into public.tasks values (11, 2, 1, (select id from public.users where org_id = 2 order by id limit 1), null);
insert into public.logs values (1, 'x'), (1, 'y');
insert into public.colours values ('red'), ('blue');
insert into public.prices values (1, 'red'), (2, 'blue'), (3, 'green');
-- past the triggers of the foreign key
set session_replication_role = replica;
insert into public.tasks values (12, 99, null, null, null);
set session_replication_role = default;
`;
const MAP = `
version: 1
tenant: public.orgs(id)
tables:
  public.orgs: {tenant: id, columns: {internal: [id, name]}}
  public.users: {tenant: org_id, columns: {internal: [id, org_id, name]}}
  public.projects: {tenant: org_id, columns: {internal: [id, org_id, title]}}
  public.tasks:
    tenant: via project_id -> public.projects(id)
    columns: {internal: [id, project_id, parent_id, user_id, done_by]}
  public.logs: {shared: true, columns: {internal: [id, line]}}
  public.colours: {shared: true, columns: {internal: [code]}}
  public.badges: {shared: true, columns: {internal: [id, org_id]}}
  public.prices: {shared: true, columns: {internal: [id, colour_code]}}
`;

let database: TestDatabase;
let client: pg.Client;
let report: IntegrityReport;
const of = (code: string, table?: string): IntegrityFinding[] =>
  report.findings.filter((f) => f.code === code && (table === undefined || f.table === `public.${table}`));

beforeAll(async () => {
  database = await createDatabase();
  client = await database.client();
  await client.query(SCHEMA);
  await client.query('analyze');
  report = await checkIntegrity(client, parseMap(MAP));
}, 60_000);
afterAll(() => database.drop());

test('rows that point nowhere, with mending SQL that was tried', async () => {
  expect(of('HF_ROW_ORPHAN')).toMatchObject([
    { table: 'public.tasks', columns: ['project_id'], rows: ['12'], count: 1, severity: 'error' },
  ]);
  const [mend] = of('HF_ROW_ORPHAN')[0]!.mends;
  expect(mend).toMatchObject({ what: 'delete the rows', tried: { result: 'works' } });
  const { rows } = await client.query('select count(*)::int as n from public.tasks');
  expect(rows[0].n).toBe(12);
});

test('foreign keys that are missing, by name and by value', () => {
  expect(of('HF_FOREIGN_KEY_MISSING', 'tasks').map((f) => f.columns)).toEqual([['user_id'], ['done_by']]);
  expect(of('HF_FOREIGN_KEY_MISSING', 'tasks')[0]!.mends[0]!.tried).toEqual({ result: 'works' });
  const prices = of('HF_FOREIGN_KEY_MISSING', 'prices');
  expect(prices).toMatchObject([{ count: 1, rows: ['3'], severity: 'error' }]);
  expect(prices[0]!.mends.map((m) => m.tried!.result)).toEqual(['works', 'works']);
});

test('references into another tenant name both rows', () => {
  expect(of('HF_FOREIGN_KEY_ACROSS').filter((f) => f.columns[0] === 'parent_id')).toMatchObject([
    { table: 'public.tasks', rows: ['11 of 2 -> 1 of 1'], count: 1 },
  ]);
  expect(of('HF_FOREIGN_KEY_ACROSS').every((f) => f.mends[0]!.tried!.result === 'works')).toBe(true);
});

test('missing keys, nullable references, tables that nobody owns', async () => {
  expect(of('HF_TABLE_KEYLESS')).toMatchObject([{ table: 'public.logs', mends: [{ tried: { result: 'works' } }] }]);
  expect(of('HF_TABLE_KEYLESS')[0]!.mends[0]!.sql[0]).toContain('row_id');
  expect(of('HF_FOREIGN_KEY_NULLABLE')).toMatchObject([{ table: 'public.projects', severity: 'warning' }]);
  expect(of('HF_TABLE_UNOWNED')).toMatchObject([{ table: 'public.badges', columns: ['org_id'] }]);
  expect(of('HF_TABLE_WITHOUT_TENANT').map((f) => f.table)).toContain('public.colours');
  expect(report.unchecked).toEqual([]);
});

test('a trial that fails says why, and what cannot be looked at in time is said', async () => {
  await client.query(
    "create function public.no() returns trigger language plpgsql as $$ begin raise exception 'not here'; end $$",
  );
  await client.query('create trigger no before delete on public.tasks for each row execute function public.no()');
  report = await checkIntegrity(client, parseMap(MAP));
  expect(of('HF_ROW_ORPHAN')[0]!.mends[0]!.tried).toEqual({ result: 'fails', reason: 'not here' });
  const other = await database.client();
  await other.query('begin; lock table public.prices in access exclusive mode');
  try {
    const bounded = await checkIntegrity(client, parseMap(MAP), { trial: false, patience: 300 });
    expect(bounded.unchecked.map((u) => u.table)).toContain('public.prices');
    expect(bounded.findings.every((f) => f.mends.every((m) => m.tried === undefined))).toBe(true);
  } finally {
    await other.query('rollback');
  }
}, 60_000);
