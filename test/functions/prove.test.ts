import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { backup } from '../../core/snapshot/backup.ts';
import { work } from '../../functions/backup/prove.ts';
import { runTask } from '../../functions/task.ts';
import { tenants } from '../snapshot/world.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { makeWorkflowWorld, type WorkflowWorld } from './world.ts';

let world: WorkflowWorld;
beforeAll(async () => {
  world = await makeWorkflowWorld(await temporaryDirectory());
});
afterAll(() => world.database.drop());

const prove = (id: string, most?: number) =>
  runTask(work, { ...world.ctx, remaining: () => 60_000 }, { backup: id, ...(most === undefined ? {} : { most }) });
const proofOf = async (id: string) =>
  (await world.client.query('select proof, proven_at from holdfast.tenant_backups where id = $1', [id])).rows[0];

test('a backup that is too large is proven by one tenant, and is not called proven', async () => {
  const all = await tenants(world.client);
  const { manifest: full } = await backup(world.ctx, { type: 'full' });
  // The log of a small incremental stands on the whole of the full.
  await world.client.query("update public.journal_entries set title = title || '.' where length(body) % 9 = 1");
  const { manifest } = await backup(world.ctx, { type: 'incremental' });
  expect(manifest.totals.rawBytes).toBeLessThan(full.totals.rawBytes / 2);
  const sampled = await prove(manifest.id, full.totals.rawBytes - 1);
  expect(sampled).toMatchObject({ ok: true, tenant: expect.any(String) });
  const { tenant } = sampled as { tenant: string };
  expect(all).toContain(tenant);
  const { proof, proven_at } = await proofOf(manifest.id);
  expect(proof).toMatchObject({ ok: null, reason: { code: 'HF_SAMPLED' }, sample: { ok: true, tenant, failures: [] } });
  const rows = await world.client.query('select count(*)::int as n from public.users where organization_id = $1', [
    tenant,
  ]);
  const users = (proof.sample.tables as { name: string; rows: number }[]).find(({ name }) => name === 'public.users');
  expect(users!.rows).toBe(rows.rows[0].n);
  expect(proven_at).toBeNull();
  // Nothing fits: it is said, and nothing is restored.
  expect(await prove(manifest.id, 1)).toMatchObject({ ok: null });
  expect(await prove(manifest.id)).toMatchObject({ ok: true });
  expect((await proofOf(manifest.id)).proven_at).not.toBeNull();
});

test('a tenant whose slabs are damaged is a backup that does not restore', async () => {
  const { manifest } = await backup(world.ctx, { type: 'full' });
  for (const { name } of manifest.objects.filter(({ kind }) => kind === 'chunk')) {
    const bytes = Buffer.from(await world.ctx.store.get(name));
    for (let at = 2000; at < bytes.length; at += 997) bytes[at]! ^= 1;
    await world.ctx.store.delete(name);
    await world.ctx.store.put(name, bytes);
  }
  await expect(prove(manifest.id, manifest.totals.rawBytes - 1)).rejects.toMatchObject({ name: 'HF_BACKUP_UNPROVEN' });
  expect((await proofOf(manifest.id)).proof).toMatchObject({ ok: false });
});
