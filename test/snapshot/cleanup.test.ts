import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { listBackups } from '../../core/catalog/list.ts';
import { formatMoment } from '../../core/moment.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { cleanup } from '../../core/snapshot/cleanup.ts';
import { holdBackup, releaseBackup } from '../../core/snapshot/legalHold.ts';
import { listManifests } from '../../core/snapshot/manifest.ts';
import { validate } from '../../core/snapshot/validate.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { makeWorld, tenants, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await makeWorld({ directory: await temporaryDirectory() });
});
afterAll(() => world.database.drop());

const DAY = 86_400_000_000n;
/** The same world, so many days later. */
const later = (days: number): World['ctx'] => ({
  ...world.ctx,
  clock: { now: () => world.ctx.clock.now() + BigInt(days) * DAY },
});
const names = async (prefix: string): Promise<string[]> => {
  const found: string[] = [];
  for await (const { name } of world.ctx.store.list(prefix)) found.push(name);
  return found;
};

test('what retention gives up is previewed, removed whole, and what is kept still validates', async () => {
  const first = (await backup(world.ctx, { type: 'full' })).manifest;
  const child = (await backup(world.ctx, { type: 'incremental' })).manifest;
  const second = (await backup(world.ctx, { type: 'full' })).manifest;
  const own = (await backup(world.ctx, { type: 'full', tenant: (await tenants(world.client))[0]! })).manifest;
  const before = await names('');

  const preview = await cleanup(later(30), { retentionDays: 7, preview: true });
  expect(preview.remove.map((r) => r.id)).toEqual([child.id, first.id]);
  expect(preview.remove[0]!.bytes).toBe(child.totals.bytes);
  expect(await names('')).toEqual(before);

  const done = await cleanup(later(30), { retentionDays: 7 });
  expect(done.remove).toEqual(preview.remove);
  expect((await listManifests(world.ctx.store)).map((m) => m.id).sort()).toEqual([second.id, own.id].sort());
  expect((await names('backups/')).every((name) => name.includes(second.id) || name.includes(own.id))).toBe(true);
  expect((await validate(world.ctx, second, { deep: true })).faults).toEqual([]);
  expect((await listBackups(world.client)).map((b) => b.id).sort()).toEqual([second.id, own.id].sort());
  expect((await cleanup(later(30), { retentionDays: 7 })).remove).toEqual([]);
});

test('a legal hold keeps a backup and its chain until it is released', async () => {
  const full = (await backup(world.ctx, { type: 'full' })).manifest;
  const child = (await backup(world.ctx, { type: 'incremental' })).manifest;
  await backup(world.ctx, { type: 'full' });
  await holdBackup(world.ctx.store, child.id, 'case 12', formatMoment(world.ctx.clock.now()));
  await cleanup(later(60), { retentionDays: 7 });
  const left = (await listManifests(world.ctx.store)).map((m) => m.id);
  expect(left).toEqual(expect.arrayContaining([full.id, child.id]));
  await releaseBackup(world.ctx.store, child.id);
  await cleanup(later(60), { retentionDays: 7 });
  expect((await listManifests(world.ctx.store)).map((m) => m.id)).not.toContain(child.id);
});

test("only the named tenant's own backups are touched", async () => {
  const [one, two] = await tenants(world.client);
  for (const tenant of [one!, one!, two!, two!]) await backup(world.ctx, { type: 'full', tenant });
  const count = async (tenant: string) => (await listManifests(world.ctx.store, { tenant })).length;
  const [before, other] = [await count(one!), await count(two!)];
  await cleanup(later(30), { tenant: one!, retentionDays: 1 });
  expect(await count(one!)).toBe(1);
  expect(before).toBeGreaterThan(1);
  expect(await count(two!)).toBe(other);
});

test('leftovers of killed runs go after their grace time, and a removal that was cut short is finished', async () => {
  const kept = (await backup(world.ctx, { type: 'full' })).manifest;
  const orphan = '20200101T000000000Z-full-abcdef';
  await world.ctx.store.put(`backups/${orphan}/chunk-00001.hf`, Buffer.from('half'));
  const young = `${formatMoment(world.ctx.clock.now()).replace(/[-:.]/g, '').slice(0, 15)}000Z-full-abcdee`;
  await world.ctx.store.put(`backups/${young}/chunk-00001.hf`, Buffer.from('half'));
  const { leftovers } = await cleanup(world.ctx, { retentionDays: 1 });
  expect(leftovers).toEqual([{ id: orphan, objects: 1, bytes: 4 }]);
  expect(await names(`backups/${orphan}`)).toEqual([]);
  expect(await names(`backups/${young}`)).toHaveLength(1);
  expect((await names(`backups/${kept.id}`)).length).toBeGreaterThan(0);
});

test('a store that refuses keeps the backup and what it stands on, and the report names it', async () => {
  const full = (await backup(world.ctx, { type: 'full' })).manifest;
  const child = (await backup(world.ctx, { type: 'incremental' })).manifest;
  await backup(world.ctx, { type: 'full' });
  const { StoreError } = await import('../../core/errors.ts');
  const { store } = world.ctx;
  const locked = Object.create(store, {
    delete: {
      value: async (name: string) => {
        if (name.includes(child.id)) throw new StoreError('HF_STORE_DENIED', 'locked', { action: 'wait' });
        await store.delete(name);
      },
    },
    // Methods with private fields need the real store as their receiver.
    ...Object.fromEntries(
      (['put', 'putStream', 'get', 'head', 'list'] as const).map((m) => [
        m,
        { value: (store[m] as () => unknown).bind(store) },
      ]),
    ),
  });
  const { refused } = await cleanup({ ...later(90), store: locked }, { retentionDays: 7 });
  expect(refused.map((r) => [r.id, r.code])).toEqual([[child.id, 'HF_STORE_DENIED']]);
  const left = (await listManifests(store)).map((m) => m.id);
  expect(left).toEqual(expect.arrayContaining([full.id, child.id]));
});
