import { readFile } from 'node:fs/promises';
import { afterAll, expect, test } from '@jest/globals';
import { createSchema } from '../../core/schema/create.ts';
import { schemaDrift } from '../../core/schema/drift.ts';
import { readSchema } from '../../core/schema/read.ts';
import type { SchemaRecord } from '../../core/schema/types.ts';
import { createSample } from '../../sample/create.ts';
import { sampleMap } from '../../sample/map.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { catalogDigest } from './catalogDigest.ts';

const databases: TestDatabase[] = [];
async function database(): Promise<TestDatabase> {
  const made = await createDatabase({ prefix: 'schema' });
  databases.push(made);
  return made;
}
afterAll(async () => {
  await Promise.all(databases.map((each) => each.drop()));
});

async function remake(record: SchemaRecord) {
  const target = await database();
  const clients = [await target.client(), await target.client()];
  const notes = [...(await createSchema(clients, record, 'before-data')).notes];
  notes.push(...(await createSchema(clients, record, 'after-data')).notes);
  return { client: clients[0]!, notes };
}

test('the sample schema comes back the same', async () => {
  const source = await (await database()).client();
  await createSample(source, { tenants: 1, usersPerTenant: 2, entriesPerUser: 2 });
  const record = await readSchema(source);
  expect(record.omitted).toEqual([]);
  const { client, notes } = await remake(JSON.parse(JSON.stringify(record)));
  const copy = await readSchema(client);
  expect(schemaDrift(record, copy)).toEqual([]);
  expect(copy.fingerprint).toBe(record.fingerprint);
  expect(notes).toEqual([]);
  expect(await catalogDigest(client)).toEqual(await catalogDigest(source));
});

test('everything hard comes back the same', async () => {
  const source = await (await database()).client();
  await source.query('set search_path = public');
  await source.query(await readFile(new URL('torture.sql', import.meta.url), 'utf8'));
  const record = await readSchema(source);
  expect((await source.query('show search_path')).rows[0].search_path).toBe('public');
  expect(JSON.stringify(record)).not.toMatch(/holdfast\./);
  const { client, notes } = await remake(record);
  const copy = await readSchema(client);
  expect(schemaDrift(record, copy)).toEqual([]);
  expect(copy.fingerprint).toBe(record.fingerprint);
  expect(copy.objects).toEqual(record.objects);
  expect(notes).toEqual([]);
  await source.query('drop schema holdfast cascade');
  expect(await catalogDigest(client)).toEqual(await catalogDigest(source));
});

test('a selection of tables brings nothing that needs the others', async () => {
  const source = await (await database()).client();
  await createSample(source, { tenants: 1, usersPerTenant: 2, entriesPerUser: 2 });
  const record = await readSchema(source, {
    tables: ['public.organizations', 'public.activity_events', 'public.tags'],
  });
  expect(record.objects.filter((o) => o.kind === 'table').map((o) => o.name)).toHaveLength(3 + 13);
  expect(record.objects.filter((o) => o.kind === 'foreign key').map((o) => o.table)).toEqual([
    'public.activity_events',
    'public.tags',
  ]);
  expect(record.omitted).toContain('view public.entry_overview');
  const { client } = await remake(record);
  expect((await readSchema(client)).fingerprint).toBe(record.fingerprint);
  const whole = await readSchema(source, { tables: sampleMap().tables.map((t) => t.name) });
  expect(whole.fingerprint).toBe((await readSchema(source)).fingerprint);
});

test('a schema is made although somebody else holds a lock the other way round for a moment', async () => {
  const source = await (await database()).client();
  await source.query(`create table public.early (a int); comment on table public.early is 'made first';
    create table public.late (a int); comment on table public.late is 'made last';`);
  const record = await readSchema(source);
  const target = await database();
  const client = await target.client();
  await createSchema(client, record, 'before-data');
  const other = await target.client();
  // The other one waits longer before it looks for deadlocks, so the maker of the schema is the one that finds it.
  await other.query("set deadlock_timeout = '30s'; begin; lock table public.late in share update exclusive mode");
  const making = createSchema(client, record, 'after-data');
  making.catch(() => {}); // looked at below
  const watcher = await target.client();
  const waits = async () =>
    (
      await watcher.query(
        "select count(*)::int as n from pg_locks where not granted and relation = 'public.late'::regclass",
      )
    ).rows[0].n > 0;
  while (!(await waits())) await new Promise((resolve) => setTimeout(resolve, 20));
  await other.query('lock table public.early in access exclusive mode'); // granted once the maker has stepped back
  await other.query('commit');
  expect((await making).notes).toEqual([]);
  expect((await readSchema(client)).fingerprint).toBe(record.fingerprint);
});
