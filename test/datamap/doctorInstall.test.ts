import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type pg from 'pg';
import { bind } from '../../core/datamap/bind.ts';
import { doctor } from '../../core/datamap/doctor.ts';
import { formatMap } from '../../core/datamap/format.ts';
import { parseMap } from '../../core/datamap/parse.ts';
import { install } from '../../core/history/install.ts';
import { uninstall } from '../../core/history/uninstall.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const MAP = parseMap(`
version: 1
tenant: orgs(id)
tables:
  orgs: {tenant: id, columns: {internal: [id, name]}}
  events: {tenant: org_id, columns: {internal: [org_id, at, what]}}
`);

let database: TestDatabase;
let client: pg.Client;
beforeAll(async () => {
  database = await createDatabase();
  client = await database.client();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await client.query('drop schema public cascade; create schema public');
  await uninstall(client);
  await client.query(`
    create table public.orgs (id int primary key, name text);
    create table public.events (org_id int references public.orgs, at date, what text, primary key (org_id, at)) partition by range (at);
    create table public.events_1 partition of public.events for values from ('2026-01-01') to ('2027-01-01') partition by list (org_id);
    create table public.events_1_1 partition of public.events_1 default;`);
  await install(client, await bind(client, MAP));
});

const codes = async (map = MAP) => (await doctor(client, map)).map((f) => [f.code, f.severity, f.table]);

test("all is well after install, and bind knows the tables' ids", async () => {
  expect(await doctor(client, MAP)).toEqual([]);
  expect((await bind(client, MAP)).tables.every((t) => t.id > 0)).toBe(true);
});

async function triggersOf(table: string): Promise<string[]> {
  const { rows } = await client.query(
    `select quote_ident(tgname) as name from pg_trigger t join pg_proc p on p.oid = t.tgfoid
      where p.pronamespace = 'holdfast'::regnamespace and (not tgisinternal or tgparentid <> 0) and tgrelid = $1::regclass`,
    [table],
  );
  return rows.map((row) => row.name);
}

/** Otherwise they put right at once what these tests put wrong. */
async function withoutEventTriggers(): Promise<void> {
  const { rows } = await client.query<{ name: string }>('select quote_ident(evtname) as name from pg_event_trigger');
  for (const { name } of rows) await client.query(`drop event trigger ${name}`);
}
const NO_EVENT_TRIGGER = ['HF_EVENT_TRIGGER_MISSING', 'warning', undefined];

test('finds triggers that are missing, disabled, or not always on', async () => {
  await withoutEventTriggers();
  const [first] = await triggersOf('public.orgs');
  await client.query(`alter table public.orgs disable trigger ${first}`);
  expect(await codes()).toEqual([['HF_TRIGGER_DISABLED', 'error', 'public.orgs'], NO_EVENT_TRIGGER]);
  await client.query(`alter table public.orgs enable trigger ${first}`);
  expect(await codes()).toEqual([['HF_TRIGGER_NOT_ALWAYS', 'error', 'public.orgs'], NO_EVENT_TRIGGER]);
  for (const name of await triggersOf('public.orgs')) await client.query(`drop trigger ${name} on public.orgs`);
  expect(await codes()).toEqual([['HF_TRIGGER_MISSING', 'error', 'public.orgs'], NO_EVENT_TRIGGER]);
  await install(client, await bind(client, MAP));
  expect(await codes()).toEqual([]);
});

test('finds a trigger that is off in one partition', async () => {
  await withoutEventTriggers();
  for (const name of await triggersOf('public.events_1_1')) {
    await client.query(`alter table public.events_1_1 disable trigger ${name}`);
  }
  const found = await doctor(client, MAP);
  expect(found.map((f) => f.code)).toEqual(['HF_TRIGGER_DISABLED', 'HF_EVENT_TRIGGER_MISSING']);
  expect(found[0]!.message).toContain('public.events_1_1');
});

test('a table that left the map is still captured until install lets go of it', async () => {
  const less = { ...MAP, tables: MAP.tables.slice(0, 1), excluded: ['public.events'] };
  expect(await codes(less)).toEqual([['HF_TABLE_STILL_CAPTURED', 'warning', 'public.events']]);
});

test('dropped columns and tables do not stop bind, new ones are named', async () => {
  await client.query('alter table public.orgs drop column name; alter table public.orgs add column label text');
  const found = await codes();
  expect(found).toContainEqual(['HF_COLUMN_UNCLASSED', 'error', 'public.orgs']);
  expect(found).toContainEqual(['HF_COLUMN_GONE', 'warning', 'public.orgs']);
  await client.query('drop table public.events');
  expect(await codes()).toContainEqual(['HF_TABLE_GONE', 'warning', 'public.events']);
  expect((await bind(client, MAP)).tables.map((t) => t.name)).toEqual(['public.orgs']);
});

test('finds a disabled event trigger, and what to run', async () => {
  await client.query('alter event trigger holdfast_ddl disable');
  const [finding] = await doctor(client, MAP);
  expect(finding).toMatchObject({ code: 'HF_EVENT_TRIGGER_DISABLED', severity: 'warning' });
  await client.query(finding!.mend);
  expect(await codes()).toEqual([]);
});

test('finds that the map was edited since install', async () => {
  const edited = parseMap(formatMap(MAP).replace('tenant: org_id', 'tenant: via org_id'));
  const found = (await doctor(client, edited)).filter((f) => f.code === 'HF_RULE_CHANGED');
  expect(found.map((f) => f.message)).toEqual([
    'public.events is captured with tenant "org_id", but the data map says "via org_id -> public.orgs(id)".',
  ]);
  await install(client, await bind(client, edited));
  expect(await codes(edited)).toEqual([]);
  expect((await doctor(client, MAP)).map((f) => f.code)).toEqual(['HF_RULE_CHANGED']);
});

test('without the event trigger, drift is found', async () => {
  await withoutEventTriggers();
  await client.query(
    'alter table public.orgs rename column name to title; alter table public.orgs add column size int',
  );
  const found = await doctor(client, MAP);
  expect(found.map((f) => f.code)).toContain('HF_EVENT_TRIGGER_MISSING');
  expect(found.find((f) => f.code === 'HF_SCHEMA_DRIFT')!.message).toBe(
    'public.orgs has changed since its triggers were generated: name was renamed to title; size was added.',
  );
  await install(client, await bind(client, MAP));
  expect((await codes()).map(([code]) => code)).not.toContain('HF_SCHEMA_DRIFT');
});

test('finds that the trail runs out of partitions', async () => {
  const { rows } = await client.query<{ name: string; bound: string }>(
    `select c.oid::regclass::text as name, pg_get_expr(c.relpartbound, c.oid) as bound
       from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'holdfast.trail'::regclass`,
  );
  for (const { name, bound } of rows) if (bound !== 'DEFAULT') await client.query(`drop table ${name}`);
  expect(await codes()).toEqual([['HF_TRAIL_PARTITIONS_LOW', 'error', undefined]]);
});
