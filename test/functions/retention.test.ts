/** What retention gives up at a copy goes there, with no database, and nothing else does. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { DirectoryFiles } from '../../adapters/local/directoryFiles.ts';
import { parseSettings } from '../../core/datamap/settings.ts';
import { StoreError } from '../../core/errors.ts';
import { backUpFiles } from '../../core/files/backup.ts';
import { checkFiles } from '../../core/files/check.ts';
import { cleanUpFiles } from '../../core/files/cleanup.ts';
import { replicate } from '../../core/locations/replicate.ts';
import { formatMoment } from '../../core/moment.ts';
import type { ObjectStore } from '../../core/ports.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { holdBackup } from '../../core/snapshot/legalHold.ts';
import { listManifests, readManifest } from '../../core/snapshot/manifest.ts';
import { manifestName } from '../../core/snapshot/store.ts';
import { validate } from '../../core/snapshot/validate.ts';
import { work as record } from '../../functions/air-gap/record.ts';
import { work } from '../../functions/retention/expire.ts';
import { runTask, type TaskContext } from '../../functions/task.ts';
import { contents, emptyPlace, readOnly } from '../locations/support.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { makeWorkflowWorld, putNotes, type WorkflowWorld } from './world.ts';

const DAY = 86_400_000_000n;
const MONTH_LATER = 31n * DAY;

let world: WorkflowWorld;
/** A full with an incremental on it, twice, in order of time; of one day. */
const ids: string[] = [];
beforeAll(async () => {
  world = await makeWorkflowWorld(await temporaryDirectory());
  for (const type of ['full', 'incremental', 'full', 'incremental'] as const) {
    await world.client.query("update public.journal_entries set title = title || '.' where length(body) % 9 = 1");
    ids.push((await backup(world.ctx, { type })).manifest.id);
  }
});
afterAll(() => world.database.drop());

let copy: ObjectStore;
beforeEach(async () => {
  copy = await emptyPlace('s3');
  await replicate({ source: world.ctx.store, target: copy, trust: world.ctx.keys });
});

/** As the function in the other region is given it. */
function there({ later = MONTH_LATER, ...changes }: Partial<TaskContext> & { later?: bigint } = {}): TaskContext {
  const { databaseUrl: _, ...ctx } = world.ctx;
  const now = () => world.ctx.clock.now() + later;
  return { ...ctx, store: copy, clock: { now }, remaining: () => 60_000, ...changes };
}
const expire = async (ctx: TaskContext) => (await runTask(work, ctx, { execution: 'one', request: {} })).report;
const left = async () => (await listManifests(copy)).map(({ id }) => id);

test('what no rule keeps goes, what is kept can be restored, and nothing beside the copy is touched', async () => {
  const before = await contents(world.ctx.store);
  expect(await expire(there())).toMatchObject({ done: true, kept: 2, removed: 2, attention: 0 });
  expect(await left()).toEqual(ids.slice(2));
  const objects = Object.keys(await contents(copy)).filter((name) => name.startsWith('backups/'));
  expect(new Set(objects.map((name) => name.split('/')[1]))).toEqual(new Set(ids.slice(2)));
  for (const ref of await listManifests(copy)) {
    const manifest = await readManifest(there(), ref);
    expect((await validate(there(), manifest, { deep: true })).faults).toEqual([]);
  }
  expect(await contents(world.ctx.store)).toEqual(before);
  const { rows } = await world.client.query("select id from holdfast.tenant_backups where status = 'complete'");
  expect(rows).toHaveLength(4);
  expect(await expire(there())).toMatchObject({ done: true, removed: 0 });
});

test('a legal hold that came with the copy keeps a backup and what it stands on', async () => {
  await holdBackup(copy, ids[1]!, 'case 12', formatMoment(world.ctx.clock.now()));
  expect(await expire(there())).toMatchObject({ kept: 4, removed: 0 });
  expect(await left()).toEqual(ids);
});

test('what is under a lock stays whole, with what it stands on, and somebody is told', async () => {
  const locked = manifestName(null, ids[1]!);
  const store: ObjectStore = {
    ...readOnly(copy),
    delete: async (name) => {
      if (name === locked) throw new StoreError('HF_STORE_DENIED', 'It is locked.', { action: 'Wait.' });
      await copy.delete(name);
    },
  };
  const report = await expire(there({ store }));
  expect(report).toMatchObject({ attention: 1, refused: [{ id: ids[1], code: 'HF_STORE_DENIED' }] });
  expect(await left()).toEqual(ids);
});

test('it ends in time and goes on where it was', async () => {
  let calls = 0;
  const short = there({ remaining: () => (calls++ === 0 ? 1 : 0) });
  expect(await expire(short)).toMatchObject({ done: false });
  expect(await left()).toEqual([ids[0], ...ids.slice(2)]); // newest first: none is without what it stands on
  expect(await expire(there())).toMatchObject({ done: true });
  expect(await left()).toEqual(ids.slice(2));
});

test('objects whose manifest has not come yet have a month; then they are left over', async () => {
  const [, , , last] = ids;
  await copy.delete(manifestName(null, last!));
  const objects = async () => {
    const all = Object.keys(await contents(copy));
    return all.filter((name) => name.startsWith(`backups/${last}/`)).length;
  };
  const whole = await objects();
  expect(whole).toBeGreaterThan(0);
  await expire(there({ later: 29n * DAY }));
  expect(await objects()).toBe(whole);
  await expire(there());
  expect(await objects()).toBe(0);
});

const settings = (retention: string) => {
  const { description } = copy;
  const at = `{kind: secondary, store: "${description}?region=eu-west-1"${retention}}`;
  return parseSettings(
    `${world.ctx.configuration}retention: {daily: 1, weekly: 0, monthly: 0}\nlocations:\n  copies: ${at}\n`,
  );
};

test('a location of holdfast.yaml has a retention of its own, and without one keeps everything', async () => {
  const before = await contents(copy);
  expect(await expire(there({ settings: settings('') }))).toEqual({
    ...{ done: true, kept: null, removed: 0, bytes: 0, attention: 0 },
    ...{ refused: [], damaged: [] },
  });
  expect(await contents(copy)).toEqual(before);
  // A month on, any moment of the last 90 days; the primary location does not go back so far.
  const long = settings(', retention: {daily: 90, weekly: 0, monthly: 0}');
  expect(await expire(there({ settings: long }))).toMatchObject({ kept: 4, removed: 0 });
  const short = settings(', retention: {daily: 1}');
  expect(await expire(there({ settings: short }))).toMatchObject({ kept: 2, removed: 2 });
});

test("users' files stay at the copy until somebody cleans them up who has the database", async () => {
  const notes = await putNotes(world);
  const source = DirectoryFiles.open(world.uploads, { settleMs: 0 });
  const sets = world.ctx.settings.files.map((set) => ({ ...set, source }));
  for (const more of ['', 'again ']) {
    for (const { path } of notes.slice(0, 3)) await writeFile(join(world.uploads, path), `${more}${path}`);
    await backUpFiles(world.ctx, sets);
  }
  await replicate({ source: world.ctx.store, target: copy, trust: world.ctx.keys });
  const files = async () => Object.keys(await contents(copy)).filter((name) => name.startsWith('files/'));
  const before = await files();
  await expire(there());
  expect(await files()).toEqual(before);
  const ctx = { ...there(), databaseUrl: world.ctx.databaseUrl };
  expect(await cleanUpFiles(ctx, { rules: [{ daily: 7 }] })).toMatchObject({ done: true, refused: [] });
  expect((await files()).length).toBeLessThan(before.length);
  expect(await checkFiles(ctx, { all: true, deep: true })).toMatchObject({ faults: [], contents: notes.length });
});

test('a copy without a store, and an input that there is not, are refused; a failure is kept beside the backups', async () => {
  const empty = await emptyPlace('s3');
  await expect(expire(there({ store: empty }))).rejects.toMatchObject({ name: 'HF_STORE_UNKNOWN' });
  await expect(runTask(work, there(), { execution: 'one', request: { tenant: 'a' } })).rejects.toMatchObject({
    name: 'HF_TASK_INPUT',
  });
  expect(await left()).toEqual(ids);
  const error = { Error: 'HF_STORE_UNKNOWN', Cause: '{"code":"HF_STORE_UNKNOWN"}' };
  await runTask(record, there(), { workflow: 'retention', execution: 'two', state: { error } });
  const [kept] = Object.keys(await contents(copy)).filter((name) => name.startsWith('runs/'));
  expect(JSON.parse((await copy.get(kept!)).toString()).value).toMatchObject({
    ...{ workflow: 'retention', code: 'HF_STORE_UNKNOWN' },
  });
});
