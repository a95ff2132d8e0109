import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { createSample } from '../../sample/create.ts';
import { startTraffic } from '../../sample/traffic.ts';
import { createDatabase } from '../support/database.ts';

test('people work side by side, in their own organizations, and never fail', async () => {
  const database = await createDatabase({ prefix: 'traffic' });
  const client = await database.client();
  await createSample(client, { tenants: 3, usersPerTenant: 4, entriesPerUser: 10 });
  const { rows: tenants } = await client.query<{ id: string }>('select id from public.organizations order by id');
  const untouched = tenants[0]!.id;
  const digest = `select md5(string_agg(e::text, '' order by id)) as md5 from public.journal_entries e where organization_id = $1`;
  const before = (await client.query(digest, [untouched])).rows;

  const traffic = await startTraffic(database.url, { writers: 6, seed: 3, tenants: tenants.slice(1).map((t) => t.id) });
  await sleep(4000);
  const stats = await traffic.stop();

  expect((await client.query(digest, [untouched])).rows).toEqual(before);
  const total = Object.values(stats.committed).reduce((sum, n) => sum + n, 0);
  expect(total).toBeGreaterThan(100);
  expect(Object.keys(stats.committed).length).toBeGreaterThan(8);
  expect(stats.rolledBack).toBeGreaterThan(0);
  const { rows } = await client.query(
    'select count(*)::int as strangers from public.users u join public.teams t on t.id = u.team_id where t.organization_id <> u.organization_id',
  );
  expect(rows[0].strangers).toBe(0);
  expect(await traffic.stop()).toEqual(stats);
  await database.drop();
});
