import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type pg from 'pg';
import { createSample } from '../../sample/create.ts';
import { sampleMap } from '../../sample/map.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const SIZE = { tenants: 4, usersPerTenant: 9, entriesPerUser: 12, seed: 7 };
const databases: TestDatabase[] = [];

async function sample(
  options: Parameters<typeof createSample>[1],
): Promise<{ client: pg.Client; counts: Record<string, number> }> {
  const database = await createDatabase({ prefix: 'sample' });
  databases.push(database);
  const client = await database.client();
  return { client, counts: await createSample(client, options) };
}

/** Digest of every table, in key order, taken by the server. */
async function digest(client: pg.Client): Promise<Record<string, string>> {
  const result: Record<string, string> = {};
  for (const { name } of sampleMap().tables) {
    const { rows } = await client.query(
      `select md5(coalesce(string_agg(t::text, E'\\n' order by t::text collate "C"), '')) as md5 from ${name} t`,
    );
    result[name] = rows[0].md5;
  }
  return result;
}

let first: Awaited<ReturnType<typeof sample>>;
beforeAll(async () => {
  first = await sample(SIZE);
});
afterAll(async () => {
  await Promise.all(databases.map((database) => database.drop()));
});

test('counts follow the options and every table has rows', () => {
  expect(first.counts).toMatchObject({ organizations: 4, users: 36, journal_entries: 432 });
  expect(Object.keys(first.counts).sort()).toEqual(
    sampleMap()
      .tables.map((t) => t.name.slice('public.'.length))
      .sort(),
  );
  for (const count of Object.values(first.counts)) expect(count).toBeGreaterThan(0);
});

test('the same seed gives the same rows, another seed others', async () => {
  const again = await sample(SIZE);
  const other = await sample({ ...SIZE, seed: 8 });
  expect(await digest(again.client)).toEqual(await digest(first.client));
  const entries = 'public.journal_entries';
  expect((await digest(other.client))[entries]).not.toBe((await digest(first.client))[entries]);
});

test('the map names every table and every column, and nothing else', async () => {
  const { rows } = await first.client.query(
    `select 'public.' || c.relname as name, array_agg(a.attname::text order by a.attname::text collate "C") as columns
       from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition group by 1`,
  );
  const inMap = sampleMap().tables.map((t) => ({ name: t.name, columns: Object.keys(t.columns).sort() }));
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
  expect(inMap.sort(byName)).toEqual(rows.sort(byName));
});

test('rows of tenants lie mixed in the heap unless asked otherwise', async () => {
  const runs = `select count(*) filter (where changed)::int as runs from (
    select organization_id is distinct from lag(organization_id) over (order by ctid) as changed from public.journal_entries) x`;
  expect((await first.client.query(runs)).rows[0].runs).toBeGreaterThan(200);
  const clustered = await sample({ ...SIZE, interleaved: false });
  expect((await clustered.client.query(runs)).rows[0].runs).toBe(4);
});

test('identity and serial columns go on after the loaded rows', async () => {
  const { client } = first;
  await client.query('begin');
  const { rows } = await client.query(
    `insert into public.tags (organization_id, name) select id, 'a new tag' from public.organizations returning id`,
  );
  expect(Number(rows[0].id)).toBe(first.counts.tags! + 1);
  await client.query('rollback');
});

test('text compresses like writing, not like filler', async () => {
  const { rows } = await first.client.query("select string_agg(body, E'\\n') as text from public.journal_entries");
  const text = Buffer.from(rows[0].text as string);
  expect(zstdCompressSync(text).length / text.length).toBeGreaterThan(0.3);
});
