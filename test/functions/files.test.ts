/** The workflow of users' files, out of a bucket into a bucket: what it makes is a run like any other. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { S3Files } from '../../adapters/aws/s3Files.ts';
import { S3Store } from '../../adapters/aws/s3Store.ts';
import { openPersonKeys } from '../../adapters/local/personKeyDirectory.ts';
import type { TaskCall } from '../../adapters/local/workflowTasks.ts';
import { backUpFiles, type FileBackupReport } from '../../core/files/backup.ts';
import { checkFiles } from '../../core/files/check.ts';
import { cleanUpFiles } from '../../core/files/cleanup.ts';
import { copyFileItem } from '../../core/files/copyItem.ts';
import { lockForCleanup } from '../../core/files/locks.ts';
import { listFileManifests, readFileManifest } from '../../core/files/manifest.ts';
import { type RestoreTarget, restoreFiles } from '../../core/files/restore.ts';
import { finishFileRun, nextFileRun, planFileRun } from '../../core/files/steps.ts';
import type { FileManifest, FileSet } from '../../core/files/types.ts';
import { type Moment, parseMoment } from '../../core/moment.ts';
import type { ObjectStore } from '../../core/ports.ts';
import { openStore } from '../../core/snapshot/store.ts';
import { Folder } from '../files/filesWorld.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { fewNotes, makeWorkflowWorld, type TestContext, type WorkflowWorld } from './world.ts';

let server: FauxqsServer;
let world: WorkflowWorld;
let notes: { path: string; tenant: string }[];
beforeAll(async () => {
  server = await startFauxqs({ port: 0, logger: false });
  world = await makeWorkflowWorld(await temporaryDirectory());
  notes = await fewNotes(world);
});
afterAll(async () => {
  await server.stop();
  await world.database.drop();
});

let ctx: Omit<TestContext, 'store'> & { readonly store: ObjectStore };
let uploads: S3Files;
let set: FileSet;
beforeEach(beginAnew);

/** Two buckets of its own, one with a file for each row. */
async function beginAnew(): Promise<void> {
  const name = randomBytes(6).toString('hex');
  for (const bucket of [`uploads-${name}`, `vault-${name}`]) server.createBucket(bucket);
  const at = `?endpoint=http://127.0.0.1:${server.port}`;
  const config = { credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
  uploads = S3Files.open(`s3://uploads-${name}/${at}`, config);
  const store = S3Store.open(`s3://vault-${name}/${at}`, config);
  const files = { open: async () => uploads };
  ctx = {
    ...world.ctx,
    store,
    files,
    persons: openPersonKeys(await temporaryDirectory(), store, world.ctx.keys),
  };
  set = { ...ctx.settings.files[0]!, source: uploads };
  for (const { path } of notes) await say(path, `sound of ${path}`);
}

async function say(path: string, words: string): Promise<void> {
  const over = await uploads.stat(path);
  const body = async function* () {
    yield Buffer.from(words);
  };
  await uploads.write(path, body(), { about: {}, stamp: 'x', ...(over ? { over } : {}) });
}

async function run(
  input: object = {},
  around?: (call: TaskCall) => Promise<unknown>,
  id = randomBytes(6).toString('hex'),
) {
  const engine = await world.open({ context: async () => ctx, ...(around ? { around } : {}) });
  const ended = await engine.ended(await engine.start('files', { ...input }, { id }));
  await engine.close();
  return ended;
}

async function manifests(): Promise<FileManifest[]> {
  const { id } = await openStore(ctx);
  return Promise.all((await listFileManifests(ctx.store)).map(({ name }) => readFileManifest(ctx, name, id)));
}

const command = (): Promise<FileBackupReport> => backUpFiles(ctx, [set]);

/** What a restore of a tenant into a folder gives. */
async function restored(tenant: string, moment?: Moment): Promise<Record<string, string>> {
  const folder = await Folder.make();
  const targets: RestoreTarget[] = [{ set: ctx.settings.files[0]!, target: folder.source() }];
  const report = await restoreFiles(ctx, targets, { tenant, ...(moment === undefined ? {} : { moment }) });
  expect(report.failed).toEqual([]);
  const mine = notes.filter((note) => note.tenant === tenant);
  return Object.fromEntries(await Promise.all(mine.map(async ({ path }) => [path, await folder.get(path)] as const)));
}

const allSounds = (tenant: string): Record<string, string> =>
  Object.fromEntries(notes.filter((n) => n.tenant === tenant).map(({ path }) => [path, `sound of ${path}`]));

test('a bucket is backed up, then what has changed of it; each moment gives its own version', async () => {
  const first = await run();
  expect(first.error).toBeUndefined();
  expect(first.output).toMatchObject({ files: notes.length, read: notes.length, attention: 0, replication: 'none' });
  const then = parseMoment((first.output as { finishedAt: string }).finishedAt);
  const [{ path, tenant }] = notes as [(typeof notes)[number]];
  await say(path, 'spoken anew');
  const second = await run();
  expect(second.output).toMatchObject({ files: notes.length, read: 1, stored: 1, attention: 0 });
  expect(await restored(tenant)).toEqual({ ...allSounds(tenant), [path]: 'spoken anew' });
  expect(await restored(tenant, then)).toEqual(allSounds(tenant));
  expect(await checkFiles(ctx, { all: true, deep: true })).toMatchObject({ faults: [] });
  // A run of the command goes on from it, and finds nothing to read or to write.
  const { manifest } = await command();
  expect(manifest.totals).toMatchObject({ read: 0, stored: 0 });
  expect(manifest.tenants).toEqual((await manifests())[1]!.tenants);
}, 60_000);

test('shared out among many, it comes to the same; one tenant alone is a run of its own', async () => {
  const whole = await command();
  const ended = await run({ itemFiles: 5 });
  expect(ended.output).toMatchObject({ files: notes.length, read: 0, stored: 0 });
  const [, many] = await manifests();
  const pages = Object.values(many!.tenants).flat();
  // Several parts of a tenant, each a power of two of them, and each file in one.
  expect(pages.some(({ part }) => part !== undefined)).toBe(true);
  expect(pages.reduce((sum, { files }) => sum + files, 0)).toBe(whole.manifest.totals.files);
  expect((await run({ itemFiles: 5 })).output).toMatchObject({ read: 0 });
  const [, , again] = await manifests();
  expect(again!.tenants).toEqual(many!.tenants);
  for (const tenant of new Set(notes.map((note) => note.tenant)))
    expect(await restored(tenant)).toEqual(allSounds(tenant));
  const [{ path, tenant }] = notes as [(typeof notes)[number]];
  await say(path, 'spoken anew');
  const alone = await run({ tenant });
  expect(alone.output).toMatchObject({ tenant, read: 1, files: Object.keys(allSounds(tenant)).length });
  expect((await restored(tenant))[path]).toBe('spoken anew');
}, 60_000);

/** Dies at the copy of an item, after so many calls of it. */
function dyingAfter(calls: number) {
  let left = calls;
  return async ({ state, run }: TaskCall): Promise<unknown> => {
    if (state === 'CopyFiles' && left-- <= 0) throw Object.assign(new Error('killed'), { name: 'HF_INJECTED' });
    return run();
  };
}

test('an execution that failed half-way is gone on with, or begun anew: no file is read twice', async () => {
  for (const next of ['one', 'two']) {
    await beginAnew();
    const reads = countReads();
    const failed = await run({ itemFiles: 5 }, dyingAfter(2), 'one');
    expect(failed.status).toBe('failed');
    expect(await manifests()).toEqual([]);
    expect(reads()).toBeGreaterThan(0);
    expect((await run({ itemFiles: 5 }, undefined, next)).error).toBeUndefined();
    expect(reads()).toBe(notes.length);
    expect(await checkFiles(ctx, { all: true, deep: true })).toMatchObject({ faults: [], files: notes.length });
  }
  const lines = await world.client.query(
    "select result from holdfast.tenant_backup_logs where step = 'workflow:files' and backup_id is not null",
  );
  expect(lines.rows).toHaveLength(1); // both were the same execution
}, 60_000);

test('a step that runs out of time is called again, and each call brings it further', async () => {
  const { run: id } = await planFileRun(ctx, [set], null, async () => nextFileRun(ctx));
  const step = { run: id, tenant: null, item: 0 };
  const reads = countReads();
  const limits = (most: number) => ({ stop: () => reads() >= most, largest: 1 << 30 });
  let calls = 1;
  for (; !(await copyFileItem(ctx, [set], step, limits(reads() + 1))).done; calls++)
    expect(reads()).toBeGreaterThanOrEqual(calls);
  expect(calls).toBeGreaterThan(1);
  expect(reads()).toBe(notes.length);
  // Late, doubled, and once it is complete: there is nothing to do.
  expect(await copyFileItem(ctx, [set], step, limits(0))).toEqual({ done: true });
  await finishFileRun(ctx, step);
  expect(await copyFileItem(ctx, [set], { ...step, item: 7 }, limits(0))).toEqual({ done: true });
  expect((await finishFileRun(ctx, step)).id).toBe(id);
  expect(await checkFiles(ctx, { deep: true })).toMatchObject({ faults: [], files: notes.length });
});

test('a file that is too large for a step is told of, and its last good content stays', async () => {
  await command();
  const [{ path, tenant }] = notes as [(typeof notes)[number]];
  await say(path, 'x'.repeat(1000));
  const { run: id } = await planFileRun(ctx, [set], null, async () => nextFileRun(ctx));
  const step = { run: id, tenant: null, item: 0 };
  await copyFileItem(ctx, [set], step, { stop: () => false, largest: 999 });
  expect((await finishFileRun(ctx, step)).totals).toMatchObject({ unread: 1, read: 0, files: notes.length });
  expect((await run()).output).toMatchObject({ attention: 0, read: 1 });
  expect((await restored(tenant))[path]).toBe('x'.repeat(1000));
});

test('what comes between two steps: a cleanup, a run that ends first, two days, another holdfast.yaml', async () => {
  const policy = { rules: [{ daily: 1 }], everyMomentForDays: 0 };
  const between = (state: string, what: () => Promise<unknown>) => {
    let first = true;
    return async (call: TaskCall) => {
      if (call.state === state && first) {
        first = false;
        await what();
      }
      return call.run();
    };
  };
  expect(
    (
      await run(
        {},
        between('Finish', () => cleanUpFiles(ctx, policy)),
      )
    ).status,
  ).toBe('succeeded');
  expect(await checkFiles(ctx, { deep: true })).toMatchObject({ faults: [], files: notes.length });
  let other = '';
  const overtaken = await run(
    {},
    between('Finish', async () => {
      other = (await command()).manifest.id;
    }),
  );
  expect(overtaken.output).toMatchObject({ backup: other, attention: 0 });
  const { clock, settings } = ctx;
  const later = { now: () => clock.now() + 49n * 3_600_000_000n };
  const old = await run(
    {},
    between('Finish', async () => {
      ctx = { ...ctx, clock: later };
    }),
  );
  expect(old.error?.error).toBe('HF_FILES_RUN_OLD');
  ctx = { ...ctx, clock };
  const renamed = await run(
    {},
    between('CopyFiles', async () => {
      ctx = { ...ctx, settings: { ...settings, files: [{ ...settings.files[0]!, name: 'sounds' }] } };
    }),
  );
  expect(renamed.error?.error).toBe('HF_FILE_SET_UNKNOWN');
}, 60_000);

test('cleanup takes what retention gives up and no run names any more, in as many calls as it needs', async () => {
  await run();
  const [{ path, tenant }] = notes as [(typeof notes)[number]];
  await say(path, 'spoken anew');
  await run();
  const sizes = async () => {
    const [contents, pages]: string[][] = [[], []];
    for await (const { name } of ctx.store.list('files/content/')) contents!.push(name);
    for await (const { name } of ctx.store.list('files/pages/')) pages!.push(name);
    return [contents!.length, pages!.length];
  };
  const [contents, pages] = await sizes();
  const policy = { rules: [{ daily: 1 }], everyMomentForDays: 0 };
  const stopped = await cleanUpFiles(ctx, policy, { stop: () => true });
  expect(stopped).toMatchObject({ done: false, objects: 0, remove: [{ id: expect.any(String) }] });
  ctx = { ...ctx, settings: { ...ctx.settings, retention: { daily: 1, weekly: 0, monthly: 0, trail: 'P90D' } } };
  const engine = await world.open({ context: async () => ctx });
  const cleanup = await engine.ended(await engine.start('cleanup', {}, { id: randomBytes(6).toString('hex') }));
  await engine.close();
  expect(cleanup.output).toMatchObject({ files: { done: true, kept: 1, attention: 0 } });
  expect(await sizes()).toEqual([contents! - 1, pages! - 1]);
  expect((await restored(tenant))[path]).toBe('spoken anew');
});

test('the integrity check reads every byte of the newest run, and keeps no name of a file', async () => {
  await run();
  const check = async () => {
    const engine = await world.open({ context: async () => ctx });
    const ended = await engine.ended(await engine.start('integrity-check', {}, { id: randomBytes(6).toString('hex') }));
    await engine.close();
    return ended;
  };
  expect((await check()).output).toEqual({ parts: 1, faults: 0, trail: true });
  for await (const { name } of ctx.store.list('files/content/')) {
    const bytes = await ctx.store.get(name);
    bytes[bytes.length - 1]! ^= 1;
    await ctx.store.delete(name);
    await ctx.store.put(name, bytes);
    break;
  }
  expect((await check()).error).toMatchObject({ error: 'HF_INTEGRITY', cause: expect.stringContaining('1 faults') });
  let kept = '';
  for await (const { name } of ctx.store.list('runs/')) kept += (await ctx.store.get(name)).toString();
  expect(kept).toContain('HF_FILE_CORRUPT');
  expect(notes.filter(({ path }) => kept.includes(path))).toEqual([]);
});

test('while a cleanup runs a step waits for it, and nothing is begun where nothing is declared', async () => {
  const cleaning = await world.database.client();
  await lockForCleanup(cleaning);
  const waited: string[] = [];
  const ended = await run({}, async (call) => {
    try {
      return await call.run();
    } catch (error) {
      waited.push((error as Error).name);
      await cleaning.end();
      throw error;
    }
  });
  expect(waited).toEqual(['HF_FILES_BUSY']);
  expect(ended.status).toBe('succeeded');
  await beginAnew();
  ctx = { ...ctx, settings: { ...ctx.settings, files: [] } };
  expect((await run()).error?.error).toBe('HF_FILES_NONE');
  expect((await run({ tennant: '1' })).error?.error).toBe('HF_TASK_INPUT');
  const left: string[] = [];
  for await (const { name } of ctx.store.list('')) left.push(name);
  expect(left).toEqual([]);
});

test('a content that is lost before the checks fails the execution', async () => {
  const ended = await run({}, async (call) => {
    if (call.state === 'Verify') {
      for await (const { name } of ctx.store.list('files/content/')) {
        await ctx.store.delete(name);
        break;
      }
    }
    return call.run();
  });
  expect(ended.error).toMatchObject({
    error: 'HF_BACKUP_UNSOUND',
    cause: expect.stringContaining('HF_OBJECT_MISSING'),
  });
});

function countReads(): () => number {
  const { read } = uploads;
  let count = 0;
  uploads.read = (...given) => {
    count++;
    return read.apply(uploads, given);
  };
  return () => count;
}
