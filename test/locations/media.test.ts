import { execFile } from 'node:child_process';
import { readdir, readFile, rename, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, expect, test } from '@jest/globals';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { systemClock } from '../../adapters/local/systemClock.ts';
import type { World } from '../../bench/prove/corruption/world.ts';
import { StoreError } from '../../core/errors.ts';
import { publicKeyFile, trustFile } from '../../core/history/seal/publicKeys.ts';
import { exportMedia, type MediaExport } from '../../core/locations/media/export.ts';
import { importMedia } from '../../core/locations/media/import.ts';
import { verifyMedia } from '../../core/locations/media/verify.ts';
import { parseMoment } from '../../core/moment.ts';
import { silentProgress } from '../../core/ports.ts';
import { listManifests } from '../../core/snapshot/manifest.ts';
import { validate } from '../../core/snapshot/validate.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { aWorld, contents, emptyPlace, failingAfter, readOnly } from './support.ts';

let world: World;
let media: DirectoryStore;
beforeEach(async () => {
  world = await aWorld();
  media = DirectoryStore.open(join(await temporaryDirectory(), 'usb'));
});

const exported = (options: Partial<MediaExport> = {}) =>
  exportMedia({
    store: readOnly(world.store),
    media,
    keys: world.keys,
    persons: world.persons,
    clock: systemClock,
    progress: silentProgress,
    ...options,
  });
const imported = (store = DirectoryStore.open(join(world.directory, 'new'))) =>
  importMedia({
    media: readOnly(media),
    store,
    keys: world.keys,
    persons: world.persons,
    progress: silentProgress,
  }).then((report) => ({
    store,
    report,
  }));
const verified = () => verifyMedia({ media: readOnly(media), trust: world.keys });

test('out, checked with nothing but public keys or coreutils, and back into an empty store', async () => {
  const report = await exported({ label: 'tape 7' });
  expect(report).toMatchObject({ withheld: [], faults: [] });
  expect(report.backups).toHaveLength(4);
  const trust = trustFile(await publicKeyFile(world.keys));
  expect(await verifyMedia({ media: readOnly(media), trust })).toMatchObject({
    manifest: { label: 'tape 7', tenant: null, backups: report.backups },
    faults: [],
    extra: [],
  });
  const [sums] = (await readdir(join(media.directory, 'media'))).filter((name) => name.endsWith('.sha256'));
  const { stdout } = await promisify(execFile)('sha256sum', ['-c', `media/${sums}`], { cwd: media.directory });
  expect(stdout.trim().split('\n')).toHaveLength(report.fileCount + 1);

  const { store } = await imported();
  expect(await contents(store)).toEqual(await contents(world.store));
  expect((await imported(store)).report).toMatchObject({ copied: [], present: 4 });
  expect((await imported(world.store)).report).toMatchObject({ copied: [], present: 4 });
});

test('media hold no key but wrapped ones, and can be read as a store', async () => {
  await exported();
  const names = Object.keys(await contents(media));
  expect(names.filter((name) => /key\.json|persons|tenant\.json|keys\.bin/.test(name))).toEqual([]);
  for (const { id } of await listManifests(media)) {
    expect((await validate({ ...world, store: media }, id, { deep: true })).faults).toEqual([]);
  }
});

test('one tenant: its own backups, its own keys', async () => {
  const report = await exported({ tenant: 'acme' });
  expect(report.backups).toEqual([world.tenantFull.id]);
  const names = Object.keys(await contents(media));
  expect(names.filter((name) => name.startsWith('keys/'))).toEqual(['keys/_shared/00001.json', 'keys/acme/00001.json']);
  expect(names.filter((name) => name.startsWith('backups/')).every((name) => name.includes(world.tenantFull.id))).toBe(
    true,
  );
  expect((await verified()).faults).toEqual([]);
  await expect(exported()).rejects.toMatchObject({ code: 'HF_MEDIA_TAKEN' });
  const other = DirectoryStore.open(join(world.directory, 'other'));
  await expect(exported({ tenant: 'beta', media: other })).rejects.toMatchObject({
    code: 'HF_MEDIA_NOTHING',
    action: expect.stringContaining('holdfast synthetic -t'),
  });
});

test('since: newer ones with what they stand on; later exports add to the same media', async () => {
  const first = await exported({ since: parseMoment('2026-03-04T00:00:00Z') });
  expect(first.backups).toEqual([world.laterFull.id]);
  const second = await exported({ since: parseMoment('2026-03-02T01:00:00Z') });
  expect(second).toMatchObject({ present: 1 });
  expect([...second.backups].sort()).toEqual((await listManifests(world.store)).map(({ id }) => id));
  expect(await verified()).toMatchObject({ faults: [], extra: [] });
  await expect(exported({ since: parseMoment('2027-01-01T00:00:00Z') })).rejects.toMatchObject({
    code: 'HF_MEDIA_NOTHING',
  });
});

test.each([3, 8, 19, 22])(
  'an export that is cut short after %i writes is known to be, and gone on with',
  async (writes) => {
    const full = new StoreError('HF_STORE_FULL', 'no room', { action: 'x' });
    await expect(exported({ media: failingAfter(media, writes, full) })).rejects.toBe(full);
    await expect(verified()).rejects.toMatchObject({ code: 'HF_MEDIA_UNFINISHED' });
    await expect(imported()).rejects.toMatchObject({ code: 'HF_MEDIA_UNFINISHED' });
    await exported();
    expect(await verified()).toMatchObject({ faults: [], extra: [] });
  },
);

const at = (name: string) => join(media.directory, name);
const change = async (name: string, from: string, to: string) => {
  const text = await readFile(at(name), 'latin1');
  expect(text).toContain(from);
  await writeFile(at(name), text.replace(from, to), 'latin1');
};

test.each([
  ['an object', () => world.full.objects[0]!.name, 'HF_OBJECT_CORRUPT'],
  ['a manifest', () => `manifests/_database/${world.full.id}.json`, 'HF_OBJECT_CORRUPT'],
  ['a key', () => 'keys/acme/00001.json', 'HF_OBJECT_CORRUPT'],
  ['the marker', () => 'holdfast-store.json', 'HF_OBJECT_CORRUPT'],
])('%s that was tampered with, cut off or taken away is named, and nothing is imported', async (_, name, code) => {
  await exported();
  const whole = await readFile(at(name()));
  const store = DirectoryStore.open(join(world.directory, 'new'));
  const refused = async (expected: string) => {
    expect((await verified()).faults).toEqual([
      { object: name(), code: expected, message: expect.stringContaining(name()) },
    ]);
    await expect(imported(store)).rejects.toMatchObject({
      code: 'HF_MEDIA_DAMAGED',
      message: expect.stringContaining(name()),
    });
    expect(await contents(store)).toEqual({});
  };
  const changed = Buffer.from(whole);
  changed[whole.length >> 1]! ^= 0x10;
  await writeFile(at(name()), changed);
  await refused(code);
  await truncate(at(name()), whole.length - 5);
  await refused('HF_OBJECT_TRUNCATED');
  await unlink(at(name()));
  await refused('HF_OBJECT_MISSING');
  await writeFile(at(name()), whole);
  expect((await verified()).faults).toEqual([]);
});

test('a manifest of media that was changed, or that somebody else signed, is refused', async () => {
  const { manifest } = await exported();
  const text = await readFile(at(manifest), 'utf8');
  await change(manifest, '"label":null', '"label":"x"');
  await expect(verified()).rejects.toMatchObject({ code: 'HF_MEDIA_SIGNATURE' });
  await expect(imported()).rejects.toMatchObject({ code: 'HF_MEDIA_SIGNATURE' });
  await writeFile(at(manifest), text);
  await expect(verifyMedia({ media, trust: world.otherKeys })).rejects.toMatchObject({ code: 'HF_MEDIA_FOREIGN' });
  await writeFile(at(manifest), text.slice(0, 200));
  await expect(verified()).rejects.toMatchObject({ code: 'HF_OBJECT_MALFORMED' });
});

test('two objects that change places are found, and media of another store are not let in', async () => {
  await exported();
  await expect(imported(world.twin)).rejects.toMatchObject({ code: 'HF_LOCATION_FOREIGN' });
  const [a, b] = world.full.objects.map(({ name }) => at(name));
  await rename(a!, `${a}.x`);
  await rename(b!, a!);
  await rename(`${a}.x`, b!);
  expect((await verified()).faults).toHaveLength(2);
});

test('what somebody puts beside is noted, and not brought in', async () => {
  await exported();
  await media.put('backups/20300101T000000Z-full-000000/chunk-00001.hf', Buffer.from('x'));
  await media.put('keys/evil/00001.json', Buffer.from('{}\n'));
  expect(await verified()).toMatchObject({
    faults: [],
    extra: ['backups/20300101T000000Z-full-000000/chunk-00001.hf', 'keys/evil/00001.json'],
  });
  const { store } = await imported();
  expect(await contents(store)).toEqual(await contents(world.store));
});

test('a fault of the source does not get to the media', async () => {
  const path = join(world.store.directory, world.full.objects[0]!.name);
  await truncate(path, 100);
  const report = await exported();
  expect(report.withheld.map(({ id, code }) => [id, code])).toEqual([
    [world.full.id, 'HF_OBJECT_TRUNCATED'],
    [world.incremental.id, 'HF_REPLICA_CHAIN'],
  ]);
  expect([...report.backups].sort()).toEqual([world.tenantFull.id, world.laterFull.id]);
  expect((await verified()).faults).toEqual([]);
  await expect(emptyPlace('directory').then((place) => imported(place as DirectoryStore))).resolves.toBeDefined();
});
