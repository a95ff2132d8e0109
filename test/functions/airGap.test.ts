/** The other account pulls users' files too: whole runs, each listing held against its digest, with public keys alone. */
import { randomBytes } from 'node:crypto';
import { appendFile, chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { DirectoryFiles } from '../../adapters/local/directoryFiles.ts';
import type { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { backUpFiles } from '../../core/files/backup.ts';
import { checkFiles } from '../../core/files/check.ts';
import { listFileManifests } from '../../core/files/manifest.ts';
import { publicKeyFile, trustFile } from '../../core/history/seal/publicKeys.ts';
import { copyTenantFiles, lackingFiles, sealFileRuns } from '../../core/locations/fileSteps.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { listManifests } from '../../core/snapshot/manifest.ts';
import { readMarker } from '../../core/snapshot/store.ts';
import { contents } from '../locations/support.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { emptyVault, makeWorkflowWorld, putNotes, type TestContext, type WorkflowWorld } from './world.ts';

let world: WorkflowWorld;
beforeAll(async () => {
  world = await makeWorkflowWorld(await temporaryDirectory());
  await putNotes(world);
  await backup(world.ctx, { type: 'full' });
  await backUp();
});
afterAll(() => world.database.drop());

const backUp = () => {
  const source = DirectoryFiles.open(world.uploads, { settleMs: 0 });
  return backUpFiles(
    world.ctx,
    world.ctx.settings.files.map((set) => ({ ...set, source })),
  );
};

/** As in the other account: a vault of its own, the store to read, public keys, and no other key or database. */
async function account(): Promise<TestContext> {
  const trust = trustFile(await publicKeyFile(world.ctx.keys));
  return { ...world.ctx, store: emptyVault(await temporaryDirectory()), source: world.ctx.store, trust };
}

async function pull(ctx: TestContext) {
  const engine = await world.open({ context: async () => ctx });
  const ended = await engine.ended(await engine.start('air-gap', {}, { id: randomBytes(6).toString('hex') }));
  await engine.close();
  return ended;
}

const copied = (objects: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(objects).filter(([name]) => !/^(runs|progress|files\/progress|checks)\//.test(name)),
  );

test('everything, and then what is new; nothing is left to pull', async () => {
  const ctx = await account();
  expect((await pull(ctx)).output).toMatchObject({ backups: 1, fileRuns: 1 });
  expect(copied(await contents(ctx.store))).toEqual(copied(await contents(world.ctx.store)));
  expect((await pull(ctx)).output).toMatchObject({ backups: 0, fileRuns: 0 });
  const [note] = await putNotes(world);
  await appendFile(join(world.uploads, note!.path), ', and more');
  await backUp();
  expect((await pull(ctx)).output).toMatchObject({ backups: 0, fileRuns: 1 });
  expect(copied(await contents(ctx.store))).toEqual(copied(await contents(world.ctx.store)));
  const opened = { ...world.ctx, store: ctx.store };
  expect(await checkFiles(opened, { all: true, deep: true })).toMatchObject({ faults: [] });
}, 60_000);

test('a damaged content keeps the runs that name it out, and nothing else; mended, they come', async () => {
  const ctx = await account();
  let damaged = '';
  for await (const { name } of world.ctx.store.list('files/content/')) damaged = name;
  const path = join((world.ctx.store as DirectoryStore).directory, damaged);
  const whole = await readFile(path);
  await chmod(path, 0o600);
  await writeFile(path, whole.subarray(1));
  const ended = await pull(ctx);
  expect(ended.error).toMatchObject({ error: 'HF_FILES_WITHHELD', cause: expect.stringContaining('did not get to') });
  expect(await listManifests(ctx.store)).toHaveLength(1);
  expect(await listFileManifests(ctx.store)).toHaveLength(0);
  const kept = await contents(ctx.store);
  expect(Object.keys(kept).some((name) => /^runs\/.*\/faults-\d+\.json$/.test(name))).toBe(true);
  await writeFile(path, whole);
  const runs = (await listFileManifests(world.ctx.store)).length;
  expect((await pull(ctx)).output).toMatchObject({ backups: 0, fileRuns: runs });
  expect(copied(await contents(ctx.store))).toEqual(copied(await contents(world.ctx.store)));
}, 60_000);

test('a step ends when it is told to, and goes on where it was', async () => {
  const { source, store: target, trust } = await account();
  const { id } = await readMarker(source, trust);
  await target.put('holdfast-store.json', await source.get('holdfast-store.json'));
  const job = { source, target, trust };
  const { runs, tenants } = await lackingFiles(job, id);
  expect(tenants.flat().length).toBeGreaterThan(1);
  const which = { runs, tenants: tenants.flat() };
  let calls = 0;
  for (let done = false; !done; calls++) {
    let left = 5;
    ({ done } = await copyTenantFiles({ ...job, stop: () => left-- <= 0 }, id, which));
    if (!done) expect((await sealFileRuns(job, id, runs)).withheld.length).toBeGreaterThan(0);
  }
  expect(calls).toBeGreaterThan(2);
  expect(await sealFileRuns(job, id, runs)).toMatchObject({ withheld: [], runs: runs.map(() => expect.any(String)) });
});
