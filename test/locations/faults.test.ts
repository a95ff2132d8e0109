/** Nothing that is not what was written gets to a copy, and a copy never looks whole before it is. */
import { appendFile, open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import type { World } from '../../bench/prove/corruption/world.ts';
import { StoreError } from '../../core/errors.ts';
import { replicate } from '../../core/locations/replicate.ts';
import { verifyStore } from '../../core/locations/verifyStore.ts';
import type { ObjectStore } from '../../core/ports.ts';
import { listManifests } from '../../core/snapshot/manifest.ts';
import { openStore } from '../../core/snapshot/store.ts';
import { validate } from '../../core/snapshot/validate.ts';
import { aWorld, contents, emptyPlace, failingAfter, readOnly } from './support.ts';

const run = ({ store, keys }: World, target: ObjectStore) =>
  replicate({ source: readOnly(store), target, trust: keys, keys });
const ids = async (store: ObjectStore) => (await listManifests(store)).map(({ id }) => id);

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0]! ^= 1;
  await file.write(byte, 0, 1, at);
  await file.close();
}

test.each([0, 1, 2, 5, 9, 14, 17, 20])('a run that ends after %i writes is gone on with', async (writes) => {
  const world = await aWorld();
  const target = await emptyPlace('directory');
  const full = new StoreError('HF_STORE_FULL', 'no room', { action: 'x' });
  await expect(run(world, failingAfter(target, writes, full))).rejects.toMatchObject({ code: 'HF_STORE_FULL' });
  // Whatever is listed is whole.
  for (const id of await ids(target)) {
    expect((await validate({ ...world, store: target }, id, { deep: true })).faults).toEqual([]);
  }
  await run(world, target);
  expect(await contents(target)).toEqual(await contents(world.store));
});

test('two runs at once end with one copy', async () => {
  const world = await aWorld();
  const target = await emptyPlace('directory');
  const reports = await Promise.all([run(world, target), run(world, target), run(world, target)]);
  for (const report of reports) expect(report).toMatchObject({ withheld: [], faults: [] });
  expect(await contents(target)).toEqual(await contents(world.store));
});

test.each([
  ['a flipped bit', (path: string) => flip(path, 30), 'HF_OBJECT_CORRUPT'],
  ['a byte too many', (path: string) => appendFile(path, 'x'), 'HF_OBJECT_CORRUPT'],
  ['an end cut off', (path: string) => truncate(path, 40), 'HF_OBJECT_TRUNCATED'],
] as const)(
  '%s in a source object: the backup, and what continues it, is withheld; the rest is copied',
  async (_, damage, code) => {
    const world = await aWorld();
    await damage(join(world.store.directory, world.full.objects[0]!.name));
    const target = await emptyPlace('directory');
    const report = await run(world, target);
    expect(report.withheld).toEqual([
      { id: world.full.id, code, message: expect.stringContaining(world.full.objects[0]!.name) },
      { id: world.incremental.id, code: 'HF_REPLICA_CHAIN', message: expect.stringContaining(world.full.id) },
    ]);
    expect(await ids(target)).toEqual([world.tenantFull.id, world.laterFull.id]);
    expect(await target.head(world.full.objects[0]!.name)).toBeUndefined();
  },
);

test('a manifest that was changed, and one of another store, are withheld', async () => {
  const world = await aWorld();
  const path = join(world.store.directory, 'manifests/_database', `${world.laterFull.id}.json`);
  await writeFile(path, (await readFile(path, 'utf8')).replace('"rows":0', '"rows":1'));
  const other = join(world.twin.directory, 'manifests/_database', `${world.full.id}.json`);
  await writeFile(join(world.store.directory, 'manifests/_database', `${world.full.id}.json`), await readFile(other));
  const target = await emptyPlace('directory');
  const { withheld } = await run(world, target);
  expect(withheld.map(({ id, code }) => [id, code]).sort()).toEqual([
    [world.full.id, 'HF_FOREIGN_OBJECT'],
    [world.incremental.id, 'HF_REPLICA_CHAIN'],
    [world.laterFull.id, 'HF_MANIFEST_SIGNATURE'],
  ]);
  expect(await ids(target)).toEqual([world.tenantFull.id]);
});

test('a tenant key that opens nothing is not copied, nor is a backup that needs it', async () => {
  const world = await aWorld();
  const path = join(world.store.directory, 'keys/acme/00001.json');
  const text = await readFile(path, 'utf8');
  const wrapped = Buffer.from(JSON.parse(text).wrapped, 'base64');
  const damaged = Buffer.from(wrapped);
  damaged[20]! ^= 1;
  await writeFile(path, text.replace(wrapped.toString('base64'), damaged.toString('base64')));
  const target = await emptyPlace('directory');
  const report = await run(world, target);
  expect(report.faults).toEqual([
    { object: 'keys/acme/00001.json', code: 'HF_KEY_WRONG', message: expect.any(String) },
  ]);
  expect(report.withheld.map(({ code }) => code)).toEqual([
    'HF_KEY_MISSING',
    'HF_REPLICA_CHAIN',
    'HF_KEY_MISSING',
    'HF_KEY_MISSING',
  ]);
  expect(await ids(target)).toEqual([]);
});

test('an object that cannot be read is a fault of that object; a source that answers nothing is not', async () => {
  const world = await aWorld();
  const bad = world.full.objects[1]!.name;
  const dead = new StoreError('HF_STORE_UNAVAILABLE', 'EIO', { action: 'x' });
  let all = false;
  const source: ObjectStore = {
    ...readOnly(world.store),
    get: (name, range) => (all || name === bad ? Promise.reject(dead) : world.store.get(name, range)),
  };
  const target = await emptyPlace('directory');
  const report = await replicate({ source, target, trust: world.keys, keys: world.keys });
  expect(report.withheld.map(({ code }) => code)).toEqual(['HF_STORE_UNAVAILABLE', 'HF_REPLICA_CHAIN']);
  all = true;
  await expect(replicate({ source, target, trust: world.keys })).rejects.toBe(dead);
});

test('other bytes under the same name at the copy are found, said, and left alone', async () => {
  const world = await aWorld();
  const target = DirectoryStore.open(join(world.directory, 'copy'));
  await openStore({ store: world.store, keys: world.keys });
  const [first, second] = world.full.objects;
  await target.put('holdfast-store.json', await world.store.get('holdfast-store.json'));
  await target.put(first!.name, Buffer.alloc(first!.size)); // before its manifest: as big, but zeros
  await target.put('keys/_shared/00001.json', Buffer.from('short'));
  const report = await run(world, target);
  expect(report.faults.map(({ object, code }) => [object, code])).toEqual([
    ['keys/_shared/00001.json', 'HF_REPLICA_DIFFERS'],
  ]);
  expect(report.withheld.map(({ id, code }) => [id, code])).toContainEqual([world.full.id, 'HF_KEY_MISSING']);
  expect((await target.get(first!.name)).equals(Buffer.alloc(first!.size))).toBe(true);
  expect(await target.head(second!.name)).toBeUndefined();

  await target.delete('keys/_shared/00001.json');
  expect((await run(world, target)).withheld).toEqual([
    { id: world.full.id, code: 'HF_REPLICA_DIFFERS', message: expect.stringContaining(first!.name) },
    { id: world.incremental.id, code: 'HF_REPLICA_CHAIN', message: expect.any(String) },
  ]);
  await target.delete(first!.name);
  expect(await run(world, target)).toMatchObject({ withheld: [], faults: [] });
  expect(await contents(target)).toEqual(await contents(world.store));
});

test('a place that holds another store, or things without a marker, is refused', async () => {
  const world = await aWorld();
  await expect(run(world, world.twin)).rejects.toMatchObject({ code: 'HF_LOCATION_FOREIGN' });
  const target = await emptyPlace('directory');
  await target.put('backups/x/chunk-00001.hf', Buffer.from('x'));
  await expect(run(world, target)).rejects.toMatchObject({ code: 'HF_LOCATION_FOREIGN' });
  expect(await target.head('holdfast-store.json')).toBeUndefined();
  await expect(replicate({ source: await emptyPlace('directory'), target, trust: world.keys })).rejects.toMatchObject({
    code: 'HF_STORE_UNKNOWN',
  });
  await expect(
    replicate({ source: world.store, target: await emptyPlace('directory'), trust: world.otherKeys }),
  ).rejects.toMatchObject({ code: 'HF_KEY_WRONG' });
});

test('verifying a copy names what happened to it', async () => {
  const world = await aWorld();
  const target = DirectoryStore.open(join(world.directory, 'copy'));
  await run(world, target);
  expect(await verifyStore({ store: target, trust: world.keys, keys: world.keys })).toMatchObject({
    backups: 4,
    documents: 3,
    unproven: 0,
    faults: [],
  });
  const [flipped, gone] = world.full.objects;
  await flip(join(target.directory, flipped!.name), 50);
  await target.delete(gone!.name);
  await target.delete(`manifests/_database/${world.laterFull.id}.json`);
  await target.delete('keys/acme/00001.json');
  const { faults } = await verifyStore({ store: target, trust: world.keys });
  expect(faults.map(({ object, code }) => `${object} ${code}`).sort()).toEqual([
    `${flipped!.name} HF_OBJECT_CORRUPT`,
    `${gone!.name} HF_OBJECT_MISSING`,
    `manifests/_database/${world.full.id}.json HF_KEY_MISSING`,
    `manifests/_database/${world.incremental.id}.json HF_KEY_MISSING`,
    `manifests/acme/${world.tenantFull.id}.json HF_KEY_MISSING`,
  ]);
});
