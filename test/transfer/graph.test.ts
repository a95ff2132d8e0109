import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRestorePoint } from '../../core/history/restorePoints.ts';
import { transferTenant } from '../../core/restore/transfer/transfer.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { addFirm, everything, random, shape } from './graph.ts';
import { graphWorld } from './world.ts';

let world: Awaited<ReturnType<typeof graphWorld>>;
beforeAll(async () => {
  world = await graphWorld();
  await addFirm(world.client, 1, random(1)); // the outsider whom others refer to
});
afterAll(() => world.drop());

/** What was there is there still, to the last column; returns how many rows are new. */
async function added(before: readonly string[]): Promise<number> {
  const after = await everything(world.client);
  const left = new Set(after);
  expect(before.filter((row) => !left.has(row))).toEqual([]);
  return after.length - before.length;
}

test.each([...Array(8).keys()])(
  'a copied graph is the same graph, and nothing else changes (seed %i)',
  async (seed) => {
    const { client, ctx } = world;
    const pick = random(1000 + seed);
    const [from, into] = [10 + seed * 2, 11 + seed * 2];
    await addFirm(client, from, pick);
    await client.query('insert into g.firm values ($1, $2)', [into, `firm ${into}`]);
    const wanted = await shape(client, from);
    const point = await createRestorePoint(client, { name: `at ${seed}`, tenant: null });
    const asOf = seed % 2 === 1;
    if (asOf) {
      await client.query('delete from g.pick where firm_id = $1', [from]);
      await client.query("update g.node set label = 'later', boss_id = null where firm_id = $1", [from]);
      await client.query(
        'update g.part set no = no + 100, label = $2 where firm_id = $1 and not exists (select from g.link)',
        [from, 'x'],
      );
    }
    const before = await everything(client);
    const request = {
      from: String(from),
      into: String(into),
      asSystemAdministrator: true,
      ...(asOf ? { restorePoint: point.name } : {}),
    };
    const preview = await transferTenant(ctx, { ...request, preview: true });
    expect(preview.violations).toEqual([]);
    expect(await everything(client)).toEqual(before);

    const done = await transferTenant(ctx, { ...request, fingerprint: preview.fingerprint });
    expect(done.tables).toEqual(preview.tables);
    expect(await shape(client, into)).toEqual(wanted);
    expect(await added(before)).toBe(wanted.length);
    expect(done.totals.inserted).toBe(wanted.length);
  },
);

test('out of a backup, also of a tenant that is gone since', async () => {
  const { client, ctx } = world;
  await addFirm(client, 500, random(5));
  await client.query("insert into g.firm values (501, 'firm 501')");
  const wanted = await shape(client, 500);
  const { manifest } = await backup(ctx, { type: 'full' });
  await client.query('begin; set constraints all deferred');
  for (const table of ['pick', 'tag', 'link', 'part', 'node', 'hen', 'egg', 'front', 'back']) {
    if (table === 'hen') await client.query('delete from g.egg where firm_id = 500');
    await client.query(`delete from g.${table} where firm_id = 500`);
  }
  await client.query('delete from g.firm where id = 500; commit');
  const before = await everything(client);
  await transferTenant(ctx, { from: '500', into: '501', backup: manifest.id, asSystemAdministrator: true });
  expect(await shape(client, 501)).toEqual(wanted);
  expect(await added(before)).toBe(wanted.length);
});
