/** A backup in steps that are processes of their own: who may, who waits, what is done twice, and what a killed one leaves. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { restoreTest } from '../../core/restore/restoreTest.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { cleanup } from '../../core/snapshot/cleanup.ts';
import { abandonBackup, copyRange, finishBackup, type PlannedBackup, planBackup } from '../../core/snapshot/steps.ts';
import { validate } from '../../core/snapshot/validate.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { makeContext, makeWorld, type World } from './world.ts';

let base: World;
let ctx: World['ctx'];
beforeAll(async () => {
  base = await makeWorld({ directory: await temporaryDirectory() });
});
afterAll(() => base.database.drop());
beforeEach(async () => {
  // Another store each time; the catalog must not remember the last one.
  await base.client.query('delete from holdfast.tenant_backups');
  ctx = await makeContext(base.directory, base.database.url, base.ctx.map);
});

const full = { type: 'full', chunkBytes: 100_000 } as const;
const never = () => false;
const rangesOf = (planned: PlannedBackup, execution: string) =>
  planned.items.map((chunks) => ({ execution, backup: planned.backup, tenant: planned.tenant, chunks }));
const row = async (id: string) =>
  (
    await base.client.query(
      'select status, execution, leased_until > now() as leased from holdfast.tenant_backups where id = $1',
      [id],
    )
  ).rows[0];

test('steps in any order, each twice, make one backup that restores', async () => {
  const planned = await planBackup(ctx, full, 'one');
  expect(planned).toMatchObject({ type: 'full', tenant: null, complete: false });
  expect(planned.items.length).toBeGreaterThan(2);
  expect(await planBackup(ctx, full, 'one')).toEqual(planned);
  expect(await row(planned.backup)).toEqual({ status: 'running', execution: 'one', leased: true });
  const ranges = rangesOf(planned, 'one').reverse();
  await Promise.all([...ranges, ...ranges].map((range) => copyRange(ctx, range, never)));
  const step = { execution: 'one', backup: planned.backup, tenant: null };
  const [manifest, again] = await Promise.all([finishBackup(ctx, step), finishBackup(ctx, step)]);
  expect(again).toEqual(manifest);
  expect(await finishBackup(ctx, step)).toEqual(manifest);
  expect(await copyRange(ctx, ranges[0]!, never)).toEqual({ done: true });
  expect(await planBackup(ctx, full, 'one')).toMatchObject({ backup: manifest.id, complete: true, items: [] });
  expect(await row(manifest.id)).toEqual({ status: 'complete', execution: 'one', leased: null });
  expect((await validate(ctx, manifest, { deep: true })).faults).toEqual([]);
  for await (const { name } of ctx.store.list('progress/')) throw new Error(`${name} is left`);
  // What was written twice goes with the backup.
  await ctx.store.delete(`manifests/_database/${manifest.id}.json`);
  await cleanup(ctx, { graceHours: -1 });
  for await (const { name } of ctx.store.list('backups/')) throw new Error(`${name} is left`);
});

test('a step that runs out of time has copied whole chunks, and the next one copies the others', async () => {
  const planned = await planBackup(ctx, full, 'slow');
  const ids = planned.items.flatMap((item) => item.split('-'));
  const range = { ...rangesOf(planned, 'slow')[0]!, chunks: `${ids[0]}-${ids.at(-1)}` };
  let asked = 0;
  expect(await copyRange(ctx, range, () => ++asked > 3)).toEqual({ done: false });
  const objects = async () => {
    const names: string[] = [];
    for await (const { name } of ctx.store.list(`backups/${planned.backup}/`)) names.push(name);
    return names;
  };
  const before = await objects();
  expect(before.length).toBeGreaterThan(0);
  expect(await copyRange(ctx, range, never)).toEqual({ done: true });
  const after = await objects();
  expect(after).toEqual(expect.arrayContaining(before));
  expect(after.length).toBeGreaterThan(before.length);
});

test('the command and a workflow keep out of each other, and each goes on with what the other left', async () => {
  const planned = await planBackup(ctx, full, 'one');
  const ranges = rangesOf(planned, 'one');
  await copyRange(ctx, ranges[0]!, never);
  await expect(backup(ctx, full)).rejects.toMatchObject({ code: 'HF_BACKUP_RUNNING' });
  await expect(planBackup(ctx, full, 'two')).rejects.toMatchObject({ code: 'HF_BACKUP_RUNNING' });
  // Nothing of a run that is going on is taken for a leftover.
  expect((await cleanup(ctx, { graceHours: -1 })).leftovers).toEqual([]);
  expect(await abandonBackup(ctx, 'one', new Error('its workflow failed'))).toBe(planned.backup);
  expect(await row(planned.backup)).toEqual({ status: 'failed', execution: 'one', leased: null });
  const { manifest, resumed } = await backup(ctx, full);
  expect(manifest.id).toBe(planned.backup);
  expect(resumed).toBeGreaterThan(0);
  expect((await validate(ctx, manifest, { deep: true })).faults).toEqual([]);

  await base.client.query("select pg_advisory_lock(hashtextextended('holdfast.backup ', 0))");
  await expect(planBackup(ctx, full, 'three')).rejects.toMatchObject({ code: 'HF_BACKUP_RUNNING' });
  await base.client.query("select pg_advisory_unlock(hashtextextended('holdfast.backup ', 0))");
});

test('a lease that has run out is taken over, and who had it stops', async () => {
  const planned = await planBackup(ctx, full, 'dead');
  const [first] = rangesOf(planned, 'dead');
  await copyRange(ctx, first!, never);
  await base.client.query("update holdfast.tenant_backups set leased_until = now() - interval '1 s'");
  const over = await planBackup(ctx, full, 'alive');
  expect(over.backup).toBe(planned.backup);
  expect(over.items.length).toBeLessThan(planned.items.length);
  const ranges = rangesOf(planned, 'dead');
  await expect(copyRange(ctx, ranges.at(-1)!, never)).rejects.toMatchObject({ code: 'HF_LEASE_LOST' });
  await expect(finishBackup(ctx, { ...first!, execution: 'dead' })).rejects.toMatchObject({ code: 'HF_LEASE_LOST' });
  // It had failed without a word before; saying so now must not end what goes on.
  expect(await abandonBackup(ctx, 'dead', new Error('late'))).toBeUndefined();
  for (const range of rangesOf(over, 'alive')) await copyRange(ctx, range, never);
  const manifest = await finishBackup(ctx, { execution: 'alive', backup: over.backup, tenant: null });
  expect((await restoreTest(ctx, manifest)).failures).toEqual([]);
});

test('a backup is not finished before all of it is copied, nor one of which there is no plan', async () => {
  const planned = await planBackup(ctx, full, 'early');
  const step = { execution: 'early', backup: planned.backup, tenant: null };
  await expect(finishBackup(ctx, step)).rejects.toMatchObject({ code: 'HF_CHUNKS_MISSING' });
  await expect(finishBackup(ctx, { ...step, backup: '20260101T000000000Z-full-abcdef' })).rejects.toMatchObject({
    code: 'HF_RUN_UNKNOWN',
  });
  expect(await row(planned.backup)).toMatchObject({ status: 'running' });
});

test('a table that is altered after the plan stops the copying; the next execution plans anew', async () => {
  const planned = await planBackup(ctx, full, 'one');
  await base.client.query('alter table public.journal_entries add column spare text');
  try {
    const [range] = rangesOf(planned, 'one');
    await expect(copyRange(ctx, range!, never)).rejects.toMatchObject({ code: 'HF_SCHEMA_MOVED' });
    await abandonBackup(ctx, 'one', new Error('schema'));
    expect((await planBackup(ctx, full, 'two')).backup).not.toBe(planned.backup);
  } finally {
    await base.client.query('alter table public.journal_entries drop column spare');
  }
});

test('an execution whose backup was complete when it failed leaves it complete', async () => {
  const planned = await planBackup(ctx, full, 'one');
  for (const range of rangesOf(planned, 'one')) await copyRange(ctx, range, never);
  await finishBackup(ctx, { execution: 'one', backup: planned.backup, tenant: null });
  // Killed between the manifest and the catalog.
  await base.client.query(
    "update holdfast.tenant_backups set status = 'running', leased_until = now() + interval '1 h'",
  );
  await abandonBackup(ctx, 'one', new Error('killed'));
  expect(await row(planned.backup)).toMatchObject({ status: 'complete' });
});

test('an incremental is one plan without items and a finish; of one tenant as of all', async () => {
  const { rows } = await base.client.query('select id::text from public.organizations order by id limit 1');
  for (const tenant of [undefined, rows[0].id as string]) {
    const scope = tenant === undefined ? {} : { tenant };
    await backup(ctx, { type: 'full', ...scope });
    await base.client.query("update public.journal_entries set title = title || '.'");
    const planned = await planBackup(ctx, { type: 'incremental', ...scope }, `inc ${tenant}`);
    expect(planned).toMatchObject({ type: 'incremental', items: [], tenant: tenant ?? null });
    const step = { execution: `inc ${tenant}`, backup: planned.backup, tenant: planned.tenant };
    const manifest = await finishBackup(ctx, step);
    expect(manifest.totals.changes).toBeGreaterThan(0);
    expect((await validate(ctx, manifest, { deep: true })).faults).toEqual([]);
  }
});
