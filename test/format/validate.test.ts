import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { openPersonKeys } from '../../adapters/local/personKeyDirectory.ts';
import { makeWorld, type World } from '../../bench/prove/corruption/world.ts';
import suite from '../../bench/prove/corruption.ts';
import { Random } from '../../bench/prove/suite.ts';
import { Keyring } from '../../core/snapshot/keyring.ts';
import { readSlab } from '../../core/snapshot/readSlab.ts';
import { openStore } from '../../core/snapshot/store.ts';
import { validate, validateAll } from '../../core/snapshot/validate.ts';
import { temporaryDirectory } from '../support/temporary.ts';

let world: World;
beforeAll(async () => {
  world = await makeWorld(await temporaryDirectory(), new Random(5));
});

test('a sound store: counts, chain, an erased person who is no fault', async () => {
  const report = await validate(world, world.incremental.id, { deep: true });
  expect(report).toMatchObject({ faults: [], extra: [], deep: true, chain: [world.full.id, world.incremental.id] });
  expect(report.capsules.erased).toBeGreaterThan(0);
  expect(report.capsules.opened).toBeGreaterThan(0);
  const slabs = world.incremental.objects.flatMap((object) => object.slabs);
  const rows = slabs.flatMap((slab) => Object.values(slab.rows)).reduce((a, b) => a + b, 0);
  expect(report).toMatchObject({ objects: world.incremental.objects.length, slabs: slabs.length, rows });
  const all = [];
  for await (const one of validateAll(world)) all.push(one);
  expect(all.map(({ backup, faults }) => [backup, faults.length])).toEqual(
    [world.full, world.incremental, world.tenantFull, world.laterFull].map(({ id }) => [id, 0]),
  );
});

test('the wrong key file is one clear error, before anything else', async () => {
  await expect(validate({ ...world, keys: world.otherKeys }, world.full.id)).rejects.toMatchObject({
    code: 'HF_KEY_WRONG',
    details: { expected: expect.stringMatching(/^local:/) },
  });
});

test('lost person keys are not taken for an erasure', async () => {
  const persons = openPersonKeys(join(world.directory, 'lost-persons'), world.store, world.keys);
  const report = await validate({ ...world, persons }, world.full.id, { deep: true });
  expect(report.faults.length).toBeGreaterThan(0);
  expect(new Set(report.faults.map(({ kind }) => kind))).toEqual(new Set(['key']));
  const { id } = await openStore(world);
  const reader = { store: world.store, persons, keyring: new Keyring(world.store, world.keys, id) };
  const [object] = world.full.objects;
  const reading = readSlab(reader, world.full, object!, object!.slabs[0]!);
  await expect(reading).rejects.toMatchObject({ code: 'HF_PERSON_KEY_UNKNOWN', details: { tenant: 'acme' } });
});

test('a flipped bit in the capsule of an erased person is found by hash', async () => {
  const directory = await temporaryDirectory();
  await cp(join(world.directory, 'store'), directory, { recursive: true });
  const object = world.full.objects[0]!;
  const slab = object.slabs[0]!;
  const bytes = await readFile(join(directory, object.name));
  bytes[slab.offset + slab.length - 1]! ^= 1;
  await writeFile(join(directory, object.name), bytes);
  // Nobody has a key for anyone here, as if all had been erased.
  const persons = { ...world.persons, lookup: async () => new Map(), state: async () => 'erased' as const };
  const copy = {
    keys: world.keys,
    store: DirectoryStore.open(directory),
    persons: { ...persons, obtain: async () => new Map() },
  };
  const { faults } = await validate(copy, world.full.id, { deep: true });
  const range = { offset: slab.offset, length: slab.length };
  expect(faults).toEqual([expect.objectContaining({ kind: 'corrupt', object: object.name, range })]);
});

test('a chain whose base is gone, and a backup that is not there', async () => {
  const directory = await temporaryDirectory();
  await cp(join(world.directory, 'store'), directory, { recursive: true });
  await rm(join(directory, 'manifests/_database', `${world.full.id}.json`));
  const store = DirectoryStore.open(directory);
  const { faults } = await validate({ ...world, store }, world.incremental.id);
  expect(faults).toEqual([expect.objectContaining({ kind: 'missing', object: `manifests/*/${world.full.id}.json` })]);
  expect((await validate({ ...world, store }, 'no-such-backup')).faults).toMatchObject([{ kind: 'missing' }]);
});

test('the corruption suite, briefly', async () => {
  const { failures } = await suite.run({ cases: 24, seed: 2, serverUrl: '', log: () => {} });
  expect(failures).toEqual([]);
});
