/** The backup workflow on the local engine, against a real database: what it makes is a backup like any other. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { backup } from '../../core/snapshot/backup.ts';
import { listManifests, readManifest } from '../../core/snapshot/manifest.ts';
import { validate } from '../../core/snapshot/validate.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { makeWorkflowWorld, type WorkflowWorld } from './world.ts';

let world: WorkflowWorld;
beforeAll(async () => {
  world = await makeWorkflowWorld(await temporaryDirectory());
});
afterAll(() => world.database.drop());

test('a full, many chunks at once, is verified, proven and told; then an incremental; both restore', async () => {
  const engine = await world.open({ atOnce: 4 });
  const full = await engine.start('backup', { chunkBytes: 250_000 }, { id: 'full' });
  const first = await engine.ended(full);
  expect(first.error).toBeUndefined();
  expect(first.status).toBe('succeeded');
  await world.client.query(
    "update public.journal_entries set title = title || ' (changed)' where length(body) % 3 = 0",
  );
  const second = await engine.ended(await engine.start('backup', { type: 'incremental' }, { id: 'incremental' }));
  expect(second.output).toMatchObject({ type: 'incremental', replication: 'none', note: null });
  expect(world.published).toEqual(['Holdfast: backup complete', 'Holdfast: backup complete']);
  for (const ref of await listManifests(world.ctx.store)) {
    const manifest = await readManifest(world.ctx, ref);
    const { faults, extra } = await validate(world.ctx, manifest, { deep: true });
    expect({ faults, extra }).toEqual({ faults: [], extra: [] });
  }
  const { rows } = await world.client.query(
    "select id, status, execution is not null as own, leased_until, proof ->> 'ok' as proven from holdfast.tenant_backups order by id",
  );
  expect(rows).toEqual(
    [first, second].map(({ output }) => ({
      id: (output as { backup: string }).backup,
      status: 'complete',
      own: true,
      leased_until: null,
      proven: 'true',
    })),
  );
  await engine.close();
});

test('what it makes differs from what the command makes in names and keys alone', async () => {
  const engine = await world.open();
  const done = await engine.ended(await engine.start('backup', { chunkBytes: 150_000, prove: false }, { id: 'again' }));
  const one = await readManifest(world.ctx, (done.output as { backup: string }).backup);
  const { manifest: other } = await backup(world.ctx, { type: 'full', chunkBytes: 150_000 });
  const shape = (manifest: typeof one) => ({
    keys: Object.keys(manifest.keys),
    tables: manifest.tables,
    fields: Object.keys(manifest).sort(),
    chunks: manifest.objects
      .filter(({ kind }) => kind === 'chunk')
      .map(({ slabs }) => slabs.map(({ tenant, rows }) => ({ tenant, rows }))),
    rows: manifest.totals.rows,
    rawBytes: manifest.totals.rawBytes,
  });
  expect(shape(one)).toEqual(shape(other));
  await engine.close();
});

test('the same execution asked for twice is one; a file of it survives the engine', async () => {
  const directory = await temporaryDirectory();
  const engine = await world.open({ directory });
  const ids = await Promise.all(
    [1, 2].map(() => engine.start('backup', { type: 'incremental', prove: false }, { id: 'one' })),
  );
  expect(new Set(ids).size).toBe(1);
  const before = (await listManifests(world.ctx.store)).length;
  expect((await engine.ended(ids[0]!)).status).toBe('succeeded');
  await engine.close();
  const later = await world.open({ directory });
  expect(await later.start('backup', { type: 'incremental' }, { id: 'one' })).toBe(ids[0]);
  expect(await later.status(ids[0]!)).toEqual({ status: 'succeeded' });
  expect(await later.status('backup.none')).toBeUndefined();
  expect((await listManifests(world.ctx.store)).length).toBe(before + 1);
  await later.close();
  // Kept for a time, and then forgotten.
  const much = await world.open({ directory, keepDays: -1 });
  expect(await much.status(ids[0]!)).toBeUndefined();
  await much.close();
});

test('an input that does not fit changes nothing, and says which field', async () => {
  const engine = await world.open();
  const before = (await listManifests(world.ctx.store)).length;
  const done = await engine.ended(await engine.start('backup', { tpye: 'full' }, { id: 'typo' }));
  expect(done.error).toMatchObject({ error: 'HF_TASK_INPUT', cause: expect.stringContaining('tpye') });
  const { rows } = await world.client.query(
    "select detail from holdfast.tenant_backup_logs where step = 'workflow:backup' and result = 'failed'",
  );
  expect(rows).toEqual([
    { detail: expect.objectContaining({ code: 'HF_TASK_INPUT', execution: 'local:backup:typo' }) },
  ]);
  expect((await listManifests(world.ctx.store)).length).toBe(before);
  await expect(engine.start('backups', {}, { id: 'x' })).rejects.toMatchObject({ code: 'HF_WORKFLOW_UNKNOWN' });
  await expect(engine.start('backup', {}, { id: '../x' })).rejects.toMatchObject({ code: 'HF_ARGUMENT_INVALID' });
  await expect(engine.redrive('backup.none')).rejects.toMatchObject({ code: 'HF_EXECUTION_UNKNOWN' });
  await engine.close();
});
