import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { KeyFile } from '../../adapters/local/keyFile.ts';
import { makeWorld, type World } from '../../bench/prove/corruption/world.ts';
import { Random } from '../../bench/prove/suite.ts';
import { canonicalJson } from '../../core/snapshot/canonical.ts';
import { ObjectWriter } from '../../core/snapshot/container.ts';
import { Keyring } from '../../core/snapshot/keyring.ts';
import { listManifests, readManifest, writeManifest } from '../../core/snapshot/manifest.ts';
import { manifestShape } from '../../core/snapshot/manifestShape.ts';
import { openStore, pathOfTenant } from '../../core/snapshot/store.ts';
import type { Manifest } from '../../core/snapshot/types.ts';
import { temporaryDirectory } from '../support/temporary.ts';

let world: World;
beforeAll(async () => {
  world = await makeWorld(await temporaryDirectory(), new Random(11));
});

test('canonical JSON', () => {
  expect(canonicalJson({ b: [1, 'ü"\n', null], a: { z: true, Y: undefined } })).toBe(
    '{"a":{"z":true},"b":[1,"ü\\"\\n",null]}',
  );
  for (const value of [1.5, Number.NaN, 2 ** 53, () => 0]) expect(() => canonicalJson({ value })).toThrow(TypeError);
});

test('listing by scope, in order of time', async () => {
  const ids = async (options: { tenant?: string | null }) =>
    (await listManifests(world.store, options)).map(({ id }) => id);
  const { full, incremental, tenantFull, laterFull } = world;
  expect(await ids({})).toEqual([full.id, incremental.id, tenantFull.id, laterFull.id]);
  expect(await ids({ tenant: null })).toEqual([full.id, incremental.id, laterFull.id]);
  expect(await ids({ tenant: 'acme' })).toEqual([tenantFull.id]);
  expect(await ids({ tenant: 'nobody' })).toEqual([]);
});

test('reads back what was written; unknown fields are kept and signed', async () => {
  expect(await readManifest(world, world.full.id)).toEqual(world.full);
  const { signature: _, ...rest } = world.full;
  const id = '20260305T020000Z-full-eeeeee';
  const later = { ...rest, id, objects: [], comment: { of: 'a later release' } };
  expect(await writeManifest(world, later)).toMatchObject({ comment: { of: 'a later release' } });
  expect(await readManifest(world, id)).toMatchObject({ comment: { of: 'a later release' } });
  await expect(writeManifest(world, later)).rejects.toMatchObject({ code: 'HF_OBJECT_EXISTS' });
  await expect(readManifest(world, 'no-such-backup')).rejects.toMatchObject({ code: 'HF_OBJECT_MISSING' });
});

test('a signed manifest of a later version is refused by its version', async () => {
  const { signature: _, ...rest } = world.full;
  await writeManifest(world, { ...rest, id: '20260306T020000Z-full-ffffff', version: 2, objects: [] });
  const reading = readManifest(world, '20260306T020000Z-full-ffffff');
  await expect(reading).rejects.toMatchObject({ code: 'HF_FORMAT_UNKNOWN_VERSION', details: { got: 2, known: 1 } });
});

test('the shape is checked, and the first field that is wrong is named', () => {
  const object = world.full.objects[0]!;
  const wrong: [string, unknown][] = [
    ['horizon', { ...world.full, horizon: 'yesterday' }],
    ['log.from', { ...world.full, log: { ...world.full.log, from: '1' } }],
    ['objects[0].sha256', { ...world.full, objects: [{ ...object, sha256: 'x' }] }],
    [
      'objects[0].slabs[1].offset',
      { ...world.full, objects: [{ ...object, slabs: [object.slabs[0], object.slabs[0]] }] },
    ],
    ['objects[0].size', { ...world.full, objects: [{ ...object, size: object.size + 1 }] }],
    ['objects[0].name', { ...world.full, objects: [{ ...object, name: 'backups/other/chunk-00001.hf' }] }],
    ['keys["acme"].tenantKey', { ...world.full, keys: { acme: { tenantKey: '../1', wrapped: '' } } }],
    ['tenant', { ...world.full, tenant: undefined }],
  ];
  for (const [field, value] of wrong) {
    expect(() => manifestShape(value as Manifest, 'manifests/x.json')).toThrow(
      expect.objectContaining({ code: 'HF_OBJECT_MALFORMED', message: expect.stringContaining(`${field} should be`) }),
    );
  }
});

test('paths of tenants stay apart and stay inside', () => {
  const names = [
    'acme',
    'ACME',
    'Acme',
    '..',
    '.',
    'a/b',
    'a%2fb',
    '_database',
    '_shared ',
    'ä',
    'a\u0308',
    '-a',
    'con.',
    '',
    ' ',
  ];
  const paths = names.map(pathOfTenant);
  expect(new Set(paths.map((path) => path.toLowerCase())).size).toBe(names.length);
  for (const path of paths) expect(path).toMatch(/^[a-z0-9%][a-z0-9%_-]*$/);
  expect(pathOfTenant('a'.repeat(5000))).toHaveLength(120 + 1 + 64);
  expect(pathOfTenant('a'.repeat(5000))).not.toBe(pathOfTenant('a'.repeat(5001)));
});

test('tenant keys: one per tenant, whoever makes it first', async () => {
  const { id } = await openStore(world);
  const rings = Array.from({ length: 8 }, () => new Keyring(world.store, world.keys, id));
  const keys = await Promise.all(rings.map((ring) => ring.tenantKey('new tenant')));
  expect(new Set(keys.map(({ key }) => key.toString('hex'))).size).toBe(1);
  const { key, entry } = await rings[0]!.newBackupKey('b', 'new tenant');
  const manifest = { id: 'b', keys: { 'new tenant': entry } };
  expect((await rings[1]!.backupKey(manifest, 'new tenant')).equals(key)).toBe(true);
  await expect(rings[1]!.backupKey({ ...manifest, id: 'c' }, 'new tenant')).rejects.toMatchObject({
    code: 'HF_KEY_WRONG',
  });
  await expect(rings[1]!.backupKey(manifest, 'acme')).rejects.toMatchObject({ code: 'HF_KEY_MISSING' });
  await expect(rings[1]!.backupKey(manifest, 'toString')).rejects.toMatchObject({ code: 'HF_KEY_MISSING' });
});

test('the store marker: none, another root, damaged', async () => {
  const empty = DirectoryStore.open(await temporaryDirectory());
  await expect(openStore({ store: empty, keys: world.keys })).rejects.toMatchObject({ code: 'HF_STORE_UNKNOWN' });
  const made = await Promise.all([1, 2, 3].map(() => openStore({ store: empty, keys: world.keys }, { create: true })));
  expect(new Set(made.map(({ id }) => id)).size).toBe(1);
  await expect(openStore({ store: empty, keys: world.otherKeys })).rejects.toMatchObject({ code: 'HF_KEY_WRONG' });

  const marker = (await empty.get('holdfast-store.json')).toString();
  for (const [damaged, code] of [
    [marker.replace('"version":1', '"version":9'), 'HF_FORMAT_UNKNOWN_VERSION'],
    [marker.replace(made[0]!.id, 'f'.repeat(32)), 'HF_STORE_MARKER'],
    [marker.slice(0, 50), 'HF_STORE_MARKER'],
    [`${marker} `, 'HF_STORE_MARKER'],
    ['null\n', 'HF_STORE_MARKER'],
  ] as const) {
    await empty.delete('holdfast-store.json');
    await empty.put('holdfast-store.json', Buffer.from(damaged));
    await expect(openStore({ store: empty, keys: world.keys })).rejects.toMatchObject({ code });
  }
});

test('a copied store is the same store, with the same keys', async () => {
  const copy = await temporaryDirectory();
  await cp(join(world.directory, 'store'), copy, { recursive: true });
  const keys = await KeyFile.open(join(world.directory, 'key.json'));
  expect(await readManifest({ store: DirectoryStore.open(copy), keys }, world.full.id)).toEqual(world.full);
});

test('a writer that is given up, or whose store fails, leaves nothing and hangs nobody', async () => {
  const store = DirectoryStore.open(await temporaryDirectory());
  const about = { name: 'backups/b/chunk-00001.hf', kind: 'chunk' } as const;
  const slab = { tenant: 'acme', rows: {} };
  const writer = new ObjectWriter(store, about);
  await writer.add(slab, Buffer.alloc(10));
  await writer.abort(new Error('given up'));
  await expect(writer.add(slab, Buffer.alloc(10))).rejects.toThrow('given up');
  expect(await store.head(about.name)).toBeUndefined();

  await store.put(about.name, Buffer.from('taken'));
  const second = new ObjectWriter(store, about);
  const adding = (async () => {
    for (let i = 0; i < 10; i++) await second.add(slab, Buffer.alloc(10));
    await second.finish();
  })();
  await expect(adding).rejects.toMatchObject({ code: 'HF_OBJECT_EXISTS' });
});
