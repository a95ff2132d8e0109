/** Users' files go along: contents proven with the keys, whole without, and no run looks whole before it is. */
import { appendFile, open, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { systemClock } from '../../adapters/local/systemClock.ts';
import { StoreError } from '../../core/errors.ts';
import { checkFiles } from '../../core/files/check.ts';
import { listFileManifests } from '../../core/files/manifest.ts';
import { publicKeyFile, trustFile } from '../../core/history/seal/publicKeys.ts';
import { exportMedia } from '../../core/locations/media/export.ts';
import { importMedia } from '../../core/locations/media/import.ts';
import { verifyMedia } from '../../core/locations/media/verify.ts';
import { replicate } from '../../core/locations/replicate.ts';
import { locationStatus, readPrimary } from '../../core/locations/status.ts';
import { verifyStore } from '../../core/locations/verifyStore.ts';
import type { ObjectStore } from '../../core/ports.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { beforeEachFresh, type FilesWorld, type Folder } from '../files/filesWorld.ts';
import { contents, emptyPlace, failingAfter, readOnly } from './support.ts';

let folder: Folder;
let world: FilesWorld;
beforeEachFresh(async (fresh) => {
  ({ folder, world } = fresh);
  for (const { path } of fresh.notes) await folder.put(path, `sound of ${path}`.repeat(200));
  await world.backUp();
});

const copy = (target: ObjectStore, keys = true) => {
  const { store, keys: service, persons } = world.ctx;
  return replicate({ source: readOnly(store), target, trust: service, ...(keys ? { keys: service, persons } : {}) });
};
const withoutNotes = (objects: Record<string, string>) =>
  Object.fromEntries(Object.entries(objects).filter(([name]) => !name.startsWith('files/progress/')));
const aContent = async () => {
  for await (const { name, size } of world.ctx.store.list('files/content/')) return { name, size };
  throw new Error('no content');
};
const pathOf = (name: string) => join((world.ctx.store as DirectoryStore).directory, name);

test.each(['directory', 's3'] as const)(
  'to %s and again: the same objects, and every content opens there',
  async (kind) => {
    const target = await emptyPlace(kind);
    const first = await copy(target);
    expect(first.files).toMatchObject({ runs: [expect.any(String)], unproven: 0, withheld: [], faults: [] });
    expect(await contents(target)).toEqual(withoutNotes(await contents(world.ctx.store)));
    expect((await copy(target)).files).toBeUndefined();
    const [note] = await world.notes();
    await folder.put(note!.path, 'spoken anew');
    await world.backUp();
    const primary = await readPrimary(world.ctx.store, world.ctx.keys);
    const location = { name: 'x', kind: 'secondary', store: '', medium: 'disk', site: 'x' } as const;
    expect(await locationStatus(location, target, world.ctx.keys, primary)).toMatchObject({
      state: 'behind',
      files: { runs: 1, missing: 1 },
    });
    expect((await copy(target)).files).toMatchObject({ contents: 1, runs: [expect.any(String)] });
    expect(await checkFiles({ ...world.ctx, store: target }, { all: true, deep: true })).toMatchObject({ faults: [] });
    expect(await verifyStore({ ...world.ctx, store: target, trust: world.ctx.keys })).toMatchObject({
      faults: [],
      files: { runs: 2, unproven: 0 },
    });
  },
  30_000,
);

test('who has public keys alone copies everything, and says that it opened nothing', async () => {
  const trust = trustFile(await publicKeyFile(world.ctx.keys));
  const target = await emptyPlace('directory');
  const { files } = await replicate({ source: readOnly(world.ctx.store), target, trust });
  expect(files).toMatchObject({ withheld: [], faults: [] });
  expect(files!.unproven).toBe(files!.contents);
  expect(await contents(target)).toEqual(withoutNotes(await contents(world.ctx.store)));
  expect(await verifyStore({ store: target, trust })).toMatchObject({ faults: [], files: { runs: 1 } });
});

test('a flipped bit in a content: with the keys it does not get across, nor the run that names it', async () => {
  const { name, size } = await aContent();
  const file = await open(pathOf(name), 'r+');
  await file.write(Buffer.from('?'), 0, 1, size - 30);
  await file.close();
  const target = await emptyPlace('directory');
  const { files } = await copy(target);
  expect(files).toMatchObject({
    runs: [],
    faults: [{ object: name, code: 'HF_FILE_CORRUPT' }],
    withheld: [{ code: 'HF_FILE_CORRUPT' }],
  });
  expect(await target.head(name)).toBeUndefined();
  expect(await listFileManifests(target)).toEqual([]);
});

test('a content that is cut off or goes on too long: what does not belong to it does not get across', async () => {
  const { name, size } = await aContent();
  await appendFile(pathOf(name), 'more');
  const target = await emptyPlace('directory');
  // With the keys it is known where it ends: what arrives is sound.
  expect((await copy(target)).files).toMatchObject({ faults: [], withheld: [] });
  expect(await target.head(name)).toEqual({ size });
  const refused = async (keys: boolean) => {
    const empty = await emptyPlace('directory');
    const { files } = await copy(empty, keys);
    expect(files).toMatchObject({ runs: [], faults: [{ object: name }], withheld: [{}] });
    expect(await empty.head(name)).toBeUndefined();
    expect(await listFileManifests(empty)).toEqual([]);
  };
  await refused(false);
  await truncate(pathOf(name), size - 9);
  await refused(false);
  await refused(true);
  expect((await verifyStore({ store: world.ctx.store, trust: world.ctx.keys })).faults).toMatchObject([
    { object: name },
  ]);
});

test('a run that ends half way is gone on with, and lists nothing before it is whole', async () => {
  const target = await emptyPlace('directory');
  const full = new StoreError('HF_STORE_FULL', 'no room', { action: 'x' });
  for (const writes of [3, 8, 12]) {
    await expect(copy(failingAfter(target, writes, full))).rejects.toBe(full);
    expect(await listFileManifests(target)).toEqual([]);
  }
  await copy(target);
  expect(await contents(target)).toEqual(withoutNotes(await contents(world.ctx.store)));
});

test('media carry the files, whole, and bring them back', async () => {
  const media = await emptyPlace('directory');
  // Media are made of backups; the database's is as small as can be here.
  const { store, keys, persons, progress } = world.ctx;
  await backup(world.ctx, { type: 'full' });
  const job = { store: readOnly(store), media, keys, persons, progress, clock: systemClock };
  expect((await exportMedia(job)).files).toMatchObject({ faults: [], withheld: [] });
  const trust = trustFile(await publicKeyFile(keys));
  expect(await verifyMedia({ media, trust })).toMatchObject({ faults: [], extra: [] });
  const back = await emptyPlace('directory');
  expect(await importMedia({ media: readOnly(media), store: back, keys, persons, progress })).toMatchObject({
    faults: [],
    withheld: [],
  });
  expect(await checkFiles({ ...world.ctx, store: back }, { all: true, deep: true })).toMatchObject({ faults: [] });
  const { name } = await aContent();
  await media.delete(name);
  await media.put(name, Buffer.from('nothing of the kind'));
  expect((await verifyMedia({ media, trust })).faults).toMatchObject([{ object: name }]);
});
