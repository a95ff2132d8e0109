import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { compareStates, readState } from '../../bench/prove/exactness/oracle.ts';
import { NESTED_TRIGGERS, runWild } from '../../bench/prove/exactness/wild.ts';
import { bind } from '../../core/datamap/bind.ts';
import { restoreDatabase } from '../../core/restore/database.ts';
import { tenantDigest } from '../../core/restore/digest.ts';
import { restoreTest } from '../../core/restore/restoreTest.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { listManifests } from '../../core/snapshot/manifest.ts';
import { openScratch } from '../../core/snapshot/open/scratch.ts';
import { type SyntheticOptions, syntheticFull } from '../../core/snapshot/synthetic.ts';
import { startTraffic } from '../../sample/traffic.ts';
import { eraseOne, type ProtectedSample, protectedSample } from '../restore/support.ts';
import { createDatabase } from '../support/database.ts';

const scratch: SyntheticOptions['scratch'] = (schema) => openScratch(process.env.HOLDFAST_TEST_URL!, schema);
let sample: ProtectedSample;

beforeAll(async () => {
  sample = await protectedSample({ tenants: 2, usersPerTenant: 3, entriesPerUser: 4 });
  await sample.client.query(NESTED_TRIGGERS);
}, 60_000);
afterAll(() => sample.drop());

/** People and worse at work for a while; backups of every kind meanwhile. */
async function history(seed: number): Promise<void> {
  const { ctx, tenants } = sample;
  let stop = false;
  const traffic = await startTraffic(ctx.databaseUrl!, { writers: 2, seed, think: 20 });
  const wild = runWild(ctx.databaseUrl!, tenants, seed, () => stop);
  await backup(ctx, { type: 'full', chunkBytes: 40_000 });
  await backup(ctx, { type: 'incremental' });
  await new Promise((done) => setTimeout(done, 700));
  stop = true;
  await traffic.stop();
  await wild;
}

async function restored(tenant: string | null) {
  const target = await createDatabase();
  const result = await restoreDatabase(sample.ctx, { targetUrl: target.url, ...(tenant ? { tenant } : {}) });
  return { target, backups: result.backups };
}

test('a synthetic full holds what the database held, and logs go on from it', async () => {
  const { ctx, client, tenants } = sample;
  await history(1);
  await backup(ctx, { type: 'transaction_log' });
  const { databaseUrl: _, ...alone } = ctx;
  // small pieces: rows of one tenant come in several units, its log in several shares
  const { manifest, listed } = await syntheticFull(alone, {
    tenant: null,
    chunkBytes: 50_000,
    memoryBytes: 60_000,
    scratch,
  });
  expect(listed).toBe(false);
  expect(manifest).toMatchObject({ type: 'full', tenant: null, totals: { changes: 0 } });
  expect(manifest.synthetic!.length).toBeGreaterThan(1);
  expect(manifest.log.from).toBe(manifest.log.to);
  expect(await restoreTest(ctx, manifest)).toMatchObject({ ok: true, failures: [] });

  const { target, backups } = await restored(null);
  expect(backups).toEqual([manifest.id]);
  expect(compareStates(await readState(client, null), await readState(await target.client(), null))).toEqual([]);
  const reader = await target.client();
  expect(await tenantDigest(reader, await bind(reader, ctx.map), null)).toEqual(
    await tenantDigest(client, sample.bound, null),
  );
  await target.drop();

  // the next backup continues it, though the database has never heard of it
  await client.query('update public.users set display_name = display_name || $1', ['+']);
  const next = await backup(ctx, { type: 'incremental' });
  expect(next.manifest).toMatchObject({ type: 'incremental', parent: manifest.id });
  const again = await restored(tenants[0]!);
  expect(again.backups).toEqual([manifest.id, next.manifest.id]);
  expect(
    compareStates(await readState(client, tenants[0]!), await readState(await again.target.client(), tenants[0]!)),
  ).toEqual([]);
  await again.target.drop();
}, 120_000);

test('a synthetic full of one tenant, out of a backup of everything', async () => {
  const { ctx, client, tenants } = sample;
  const { manifest, listed } = await syntheticFull(ctx, { tenant: tenants[1]!, scratch });
  expect(listed).toBe(true);
  expect(Object.keys(manifest.keys).sort()).toEqual(['_shared', tenants[1]!].sort());
  expect(await restoreTest(ctx, manifest)).toMatchObject({ ok: true, failures: [] });
  const { target, backups } = await restored(tenants[1]!);
  expect(backups).toEqual([manifest.id]);
  expect(
    compareStates(await readState(client, tenants[1]!), await readState(await target.client(), tenants[1]!)),
  ).toEqual([]);
  await target.drop();
}, 60_000);

test('killed at any object, it goes on, and there is one backup in the end', async () => {
  const { ctx, client } = sample;
  await client.query('update public.tags set color = $1', ['#123456']);
  await backup(ctx, { type: 'incremental' });
  const before = (await listManifests(ctx.store)).length;
  let left = 3;
  const store = new Proxy(ctx.store, {
    get(target, name) {
      if (name === 'putStream' && left-- <= 0) throw new Error('killed');
      const value = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const options = { tenant: null, chunkBytes: 40_000, scratch };
  await expect(syntheticFull({ ...ctx, store }, options)).rejects.toThrow('killed');
  expect(await listManifests(ctx.store)).toHaveLength(before);
  const { manifest, resumed } = await syntheticFull(ctx, options);
  expect(resumed).toBeGreaterThan(0);
  expect(await restoreTest(ctx, manifest)).toMatchObject({ ok: true, failures: [] });
}, 60_000);

test('erased persons are not in it', async () => {
  const { ctx, client } = sample;
  await client.query("update public.users set display_name = 'x' || display_name");
  await backup(ctx, { type: 'incremental' });
  const { ledger } = await eraseOne(sample);
  const { manifest } = await syntheticFull({ ...ctx, ledger }, { tenant: null, scratch });
  const users = await client.query('select count(*)::int as n from public.users');
  expect(manifest.tables.find((t) => t.name === 'public.users')!.rows).toBe(users.rows[0].n - 1);
}, 60_000);

test('without a log there is nothing to fold', async () => {
  await backup(sample.ctx, { type: 'full' });
  await expect(syntheticFull(sample.ctx, { tenant: null, scratch })).rejects.toMatchObject({
    code: 'HF_NOTHING_TO_FOLD',
  });
}, 60_000);
