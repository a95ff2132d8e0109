/** The right version at a moment, in place or elsewhere; nothing is lost on the way. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { S3Files } from '../../adapters/aws/s3Files.ts';
import { DirectoryFiles } from '../../adapters/local/directoryFiles.ts';
import { restoreFiles } from '../../core/files/restore.ts';
import { parseMoment } from '../../core/moment.ts';
import { VersionedS3 } from '../support/aws/versionedS3.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { beforeEachFresh, type FilesWorld, type Folder, type Note, sha256, worldOn } from './filesWorld.ts';

let folder: Folder;
let world: FilesWorld;
let mine: Note[];
let others: Note[];
beforeEachFresh(async (fresh) => {
  ({ folder, world } = fresh);
  const { notes } = fresh;
  mine = notes.filter((n) => n.tenant === notes[0]!.tenant);
  others = notes.filter((n) => n.tenant !== notes[0]!.tenant);
  for (const { path } of [...mine.slice(0, 4), ...others.slice(0, 2)]) await folder.put(path, `first ${path}`);
  for (const { path } of mine.slice(4)) await folder.put(path, 'never changed');
});

const now = () => world.ctx.clock.now();
const tenant = () => mine[0]!.tenant;

test('files as they were at a moment: what is another now is replaced only when asked, and is kept', async () => {
  await world.backUp();
  const then = now();
  const at = await folder.state();
  await folder.put(mine[0]!.path, 'second');
  await folder.delete(mine[1]!.path);
  await folder.put(others[0]!.path, 'second of another');
  await world.backUp();
  const later = await folder.state();

  const preview = await world.restore({ tenant: tenant(), moment: then, preview: true });
  const actions = Object.fromEntries(preview.files.map((f) => [f.path, f.action]));
  expect(actions).toMatchObject({ [mine[0]!.path]: 'replace', [mine[1]!.path]: 'create', [mine[2]!.path]: 'same' });
  expect(actions[others[0]!.path]).toBeUndefined();
  await expect(world.restore({ tenant: tenant(), moment: then })).rejects.toMatchObject({ code: 'HF_FILE_CONFLICT' });
  expect(await folder.state()).toEqual(later);

  await world.restore({ tenant: tenant(), moment: then, existing: 'skip' });
  expect(await folder.state()).toEqual({ ...later, [mine[1]!.path]: at[mine[1]!.path] });
  const done = await world.restore({ tenant: tenant(), moment: then, existing: 'replace' });
  expect(await folder.state()).toEqual({ ...at, [others[0]!.path]: later[others[0]!.path] });
  const { kept } = done.files.find((f) => f.path === mine[0]!.path)!;
  expect(await folder.get(kept!)).toBe('second');
  // What was restored is what it was: there is nothing left to do, and nothing to refuse.
  const again = await world.restore({ tenant: tenant(), moment: then });
  expect(new Set(again.files.map((f) => f.action))).toEqual(new Set(['same']));
}, 30_000);

test('a later run proves what a file was before it ran; without that it is what was seen last', async () => {
  await world.backUp();
  await folder.put(mine[0]!.path, 'second');
  await folder.put(mine[1]!.path, 'second');
  await new Promise((done) => setTimeout(done, 30));
  const then = now();
  await folder.put(mine[1]!.path, 'third');
  await world.backUp();
  const report = await world.restore({ tenant: tenant(), moment: then, preview: true });
  const found = (n: Note) => report.files.find((f) => f.path === n.path)!;
  expect(found(mine[0]!)).toMatchObject({ size: 'second'.length, certain: true });
  expect(found(mine[1]!)).toMatchObject({ size: `first ${mine[1]!.path}`.length, certain: false });
  expect(found(mine[2]!)).toMatchObject({ certain: true });
});

test('into a directory, from store and keys alone, for the one who asked only', async () => {
  await world.backUp();
  const { databaseUrl: _, ...ctx } = world.ctx;
  const directory = await temporaryDirectory();
  const target = DirectoryFiles.open(join(directory, 'out'));
  const [{ path }] = mine as [Note];
  const paths = [path, `${mine[1]!.path.split('/')[0]}/`];
  const report = await restoreFiles(ctx, [{ set: world.set, target }], { tenant: tenant(), paths });
  expect(report).toMatchObject({ failed: [] });
  expect(report.files).toHaveLength(mine.length);
  expect((await stat(join(directory, 'out', path))).mode & 0o777).toBe(0o600);
  const wrong = restoreFiles(ctx, [{ set: world.set, target }], { tenant: tenant(), paths: ['no/such'] });
  await expect(wrong).rejects.toMatchObject({ code: 'HF_FILE_UNKNOWN' });
  const early = restoreFiles(ctx, [{ set: world.set, target }], { tenant: 'nobody', paths });
  await expect(early).rejects.toMatchObject({ code: 'HF_FILE_UNKNOWN' });
  const none = restoreFiles(ctx, [{ set: { name: 'other' }, target }], { tenant: tenant() });
  await expect(none).rejects.toMatchObject({ code: 'HF_FILES_NO_RUN' });
});

test('keys of a bucket that are no names of files come out under another name', async () => {
  const bucket = await VersionedS3.start();
  const source = S3Files.open(bucket.location, { credentials: { accessKeyId: 'a', secretAccessKey: 'b' } });
  try {
    const keys = ['k'.repeat(1000), '/a//b'];
    for (const [i, key] of keys.entries()) {
      await world.client.query('update public.voice_notes set storage_key = $2 where id = $1', [mine[i]!.id, key]);
      bucket.put(`app/${key}`, `content ${i}`);
    }
    const on = worldOn(world, source);
    await on.backUp();
    const directory = await temporaryDirectory();
    const to = [{ set: on.set, target: DirectoryFiles.open(directory) }];
    const { files, failed } = await restoreFiles(world.ctx, to, { tenant: tenant() });
    expect([failed, files.length]).toEqual([[], 2]);
    for (const [i, key] of keys.entries()) {
      const { at } = files.find(({ path }) => path === key)!;
      expect(await readFile(join(directory, at!), 'utf8')).toBe(`content ${i}`);
    }
  } finally {
    source.close();
    await bucket.stop();
  }
});

test('before the first run there is nothing but what the first run proves', async () => {
  const then = parseMoment('2020-01-01T00:00:00Z');
  await world.backUp();
  expect((await world.restore({ tenant: tenant(), moment: then, preview: true })).files).toEqual([]);
});

test('runs of one tenant and of all tell one story', async () => {
  await world.backUp();
  await folder.put(mine[0]!.path, 'second');
  await folder.put(others[0]!.path, 'second');
  const own = await world.backUp({ tenant: tenant() });
  expect(own.manifest.totals).toMatchObject({ files: mine.length, read: 1, unowned: 0 });
  expect(Object.keys(own.manifest.tenants)).toEqual([tenant()]);
  expect((await world.backUp()).manifest.totals).toMatchObject({ read: 1 });
  await folder.delete(mine[0]!.path);
  const report = await world.restore({ tenant: tenant() });
  expect(report.files.filter((f) => f.action === 'create')).toMatchObject([{ path: mine[0]!.path }]);
  expect(await folder.get(mine[0]!.path)).toBe('second');
  await expect(world.backUp({ tenant: 'nobody' })).rejects.toMatchObject({ code: 'HF_TENANT_UNKNOWN' });
});

test('a file that rows of two tenants name is restored for neither of them in place', async () => {
  await world.client.query('alter table public.voice_notes drop constraint if exists voice_notes_storage_key_key');
  await world.client.query('update public.voice_notes set storage_key = $2 where id = $1', [
    others[1]!.id,
    mine[0]!.path,
  ]);
  const { contested } = await world.backUp();
  expect(contested).toMatchObject([{ path: mine[0]!.path }]);
  await folder.put(mine[0]!.path, 'changed');
  const report = await world.restore({ tenant: others[1]!.tenant, existing: 'replace' });
  expect(report.files.find((f) => f.path === mine[0]!.path)).toMatchObject({ action: 'contested' });
  expect(await folder.get(mine[0]!.path)).toBe('changed');
});

test('a bucket that keeps versions knows every moment, also those that no run saw', async () => {
  const bucket = await VersionedS3.start();
  const source = S3Files.open(bucket.location, { credentials: { accessKeyId: 'a', secretAccessKey: 'b' } });
  try {
    let clock = Date.parse('2026-03-01T00:00:00Z');
    bucket.now = () => new Date(clock);
    const on = worldOn({ ...world, ctx: { ...world.ctx, clock: { now: () => BigInt(clock) * 1000n } } }, source);
    const key = (n: Note) => `app/${n.path}`;
    const [a, b, c, d] = mine as [Note, Note, Note, Note];
    for (const n of [...mine, ...others]) bucket.put(key(n), 'one', { 'content-type': 'audio/opus' });
    clock += 60_000;
    await on.backUp();
    clock += 60_000;
    bucket.put(key(a), 'two');
    bucket.delete(key(b));
    bucket.put(key(c), 'two');
    clock += 60_000;
    const then = BigInt(clock) * 1000n;
    clock += 60_000;
    bucket.put(key(a), 'three');
    bucket.put(key(b), 'three');
    bucket.delete(key(d));
    bucket.put(key(others[0]!), 'three');
    clock += 60_000;
    await on.backUp();
    const report = await on.restore({ tenant: tenant(), moment: then, existing: 'replace' });
    expect(report).toMatchObject({ failed: [], notes: [] });
    expect(report.files.every((f) => f.certain)).toBe(true);
    expect(report.files.some((f) => f.path === b.path)).toBe(false);
    expect(report.files.find((f) => f.path === a.path)!.from).toMatchObject({ version: expect.any(String) });
    expect(report.files.find((f) => f.path === d.path)!.from).toMatchObject({ run: expect.any(String) });
    expect([a, b, c, d].map((n) => bucket.get(key(n))?.toString())).toEqual(['two', 'three', 'two', 'one']);
    expect(bucket.versions(key(a))).toBe(4);
    expect(bucket.get(key(others[0]!))!.toString()).toBe('three');
    // Where the versions of that time are gone, the backups answer.
    bucket.forget(key(c), 0);
    const again = await on.restore({ tenant: tenant(), moment: then, preview: true });
    expect(again.files.find((f) => f.path === c.path)!.from).toMatchObject({ run: expect.any(String) });
  } finally {
    source.close();
    await bucket.stop();
  }
}, 30_000);

test('what a restore brings back is checked against the content that was backed up', async () => {
  const [one] = mine as [Note];
  await folder.put(one.path, 'the right words');
  await world.backUp();
  await folder.delete(one.path);
  await world.restore({ tenant: tenant() });
  expect((await folder.state())[one.path]).toBe(sha256('the right words'));
});
