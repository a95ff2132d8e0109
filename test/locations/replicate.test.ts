import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { KeyFile } from '../../adapters/local/keyFile.ts';
import { publicKeyFile, trustFile } from '../../core/history/seal/publicKeys.ts';
import { rewrapTenantKeys } from '../../core/keys/tenantKeys.ts';
import { replicate } from '../../core/locations/replicate.ts';
import { keptBy, since } from '../../core/locations/select.ts';
import { verifyStore } from '../../core/locations/verifyStore.ts';
import { parseMoment } from '../../core/moment.ts';
import { silentProgress } from '../../core/ports.ts';
import { holdBackup } from '../../core/snapshot/legalHold.ts';
import { listManifests } from '../../core/snapshot/manifest.ts';
import { writeProof } from '../../core/snapshot/proofs.ts';
import { validate } from '../../core/snapshot/validate.ts';
import { aWorld, contents, emptyPlace, readOnly } from './support.ts';

const NOTHING_WRONG = { withheld: [], faults: [], unproven: 0 };

describe.each(['directory', 's3'] as const)('to %s', (kind) => {
  test('a copy is the same objects, byte for byte, and every backup in it is sound', async () => {
    const { store, keys, persons } = await aWorld();
    await holdBackup(store, (await listManifests(store))[0]!.id, 'a case', '2026-03-05T00:00:00Z');
    await writeProof(
      { store, keys },
      { backup: (await listManifests(store))[0]!.id, at: '2026-03-06T00:00:00.000000Z', result: { ok: true } },
    );
    const target = await emptyPlace(kind);
    const report = await replicate({ source: readOnly(store), target, trust: keys, keys });
    expect(report).toMatchObject({ ...NOTHING_WRONG, present: 0 });
    expect(report.copied).toHaveLength(4);
    expect(await contents(target)).toEqual(await contents(store));
    for (const { id } of await listManifests(target)) {
      expect((await validate({ store: target, keys, persons }, id, { deep: true })).faults).toEqual([]);
    }
    const again = await replicate({ source: readOnly(store), target: readOnly(target), trust: keys, keys });
    expect(again).toMatchObject({ ...NOTHING_WRONG, copied: [], documents: 0, bytes: 0, present: 4 });
  });
});

test('S3 is a source as well as a target', async () => {
  const { store, keys } = await aWorld();
  const middle = await emptyPlace('s3');
  await replicate({ source: store, target: middle, trust: keys, keys });
  const back = await emptyPlace('directory');
  await replicate({ source: readOnly(middle), target: back, trust: keys, keys });
  expect(await contents(back)).toEqual(await contents(store));
});

test('a side that has nothing but public keys pulls, and says what it could not prove', async () => {
  const { store, keys } = await aWorld();
  const trust = trustFile(await publicKeyFile(keys));
  const target = await emptyPlace('directory');
  const report = await replicate({ source: readOnly(store), target, trust });
  expect(report).toMatchObject({ withheld: [], faults: [], unproven: 3 });
  expect(await contents(target)).toEqual(await contents(store));
  expect(await verifyStore({ store: target, trust })).toMatchObject({ backups: 4, faults: [], unproven: 3 });
});

test('keys that were wrapped anew go along, also those whose first root is gone', async () => {
  const { store, keys, directory } = await aWorld();
  const path = join(directory, 'key.json');
  const rotated = await KeyFile.rotate(path);
  await rewrapTenantKeys({ store, keys: rotated, progress: silentProgress });
  const target = await emptyPlace('directory');
  expect(await replicate({ source: store, target, trust: rotated, keys: rotated })).toMatchObject(NOTHING_WRONG);
  expect(await contents(target)).toEqual(await contents(store));
  const file = JSON.parse(await DirectoryStore.open(directory).get('key.json').then(String));
  await writeFile(path, JSON.stringify({ ...file, roots: file.roots.slice(-1) }));
  const pruned = await KeyFile.open(path);
  const other = await emptyPlace('directory');
  expect(await replicate({ source: store, target: other, trust: pruned, keys: pruned })).toMatchObject({
    withheld: [],
    faults: [],
    unproven: 3,
  });
  expect(keys.rootKeyId).not.toBe(pruned.rootKeyId);
});

test('what is lost at the copy is put back, what is removed at the source stays', async () => {
  const { store, keys, full, tenantFull } = await aWorld();
  const target = await emptyPlace('directory');
  await replicate({ source: store, target, trust: keys, keys });
  const before = await contents(target);
  await target.delete(full.objects[0]!.name);
  const report = await replicate({ source: store, target, trust: keys, keys });
  expect(report.copied).toEqual([
    { id: full.id, tenant: null, objects: 1, bytes: full.objects[0]!.size, repaired: true },
  ]);
  await store.delete(`manifests/acme/${tenantFull.id}.json`);
  for (const { name } of tenantFull.objects) await store.delete(name);
  expect(await replicate({ source: store, target, trust: keys, keys })).toMatchObject({ copied: [], present: 3 });
  expect(await contents(target)).toEqual(before);
});

test('a backup that is being made is not copied, and leftovers of a killed one do no harm', async () => {
  const { store, keys, full } = await aWorld();
  await store.put('backups/20260309T000000Z-full-ffffff/chunk-00001.hf', Buffer.from('half'));
  await store.put(`backups/${full.id}/chunk-00099.hf`, Buffer.from('left over'));
  await store.put('progress/_database/20260309T000000Z-full-ffffff/00000.json', Buffer.from('{}\n'));
  const target = await emptyPlace('directory');
  expect(await replicate({ source: store, target, trust: keys, keys })).toMatchObject(NOTHING_WRONG);
  expect(Object.keys(await contents(target)).filter((name) => /ffffff|00099/.test(name))).toEqual([]);
  expect(await replicate({ source: store, target, trust: keys, keys })).toMatchObject({ copied: [], present: 4 });
});

test('a location with retention gets what it keeps, and no more', async () => {
  const { store, keys, incremental, laterFull } = await aWorld();
  const target = await emptyPlace('directory');
  const now = parseMoment('2026-03-10T00:00:00Z');
  const select = keptBy({ daily: 0, weekly: 0, monthly: 0 }, now, new Set([incremental.id]));
  await replicate({ source: store, target, trust: keys, keys, select });
  const ids = (await listManifests(target)).map(({ id }) => id);
  // The newest of each scope; and what is held, with the full that it stands on.
  expect(ids).toHaveLength(4);
  const few = await emptyPlace('directory');
  await replicate({
    source: store,
    target: few,
    trust: keys,
    keys,
    select: keptBy({ daily: 0, weekly: 0, monthly: 0 }, now, new Set()),
  });
  expect((await listManifests(few)).map(({ id }) => id)).toEqual([expect.stringContaining('cccccc'), laterFull.id]);
});

test('since: what is newer, with what it stands on', async () => {
  const { full, incremental, tenantFull, laterFull } = await aWorld();
  const facts = [full, incremental, tenantFull, laterFull];
  const from = parseMoment('2026-03-02T00:00:00Z');
  expect([...since({ since: from })(facts)].sort()).toEqual(facts.map(({ id }) => id).sort());
  expect([...since({ since: parseMoment('2026-03-04T00:00:00Z') })(facts)]).toEqual([laterFull.id]);
  expect([...since({ tenant: 'acme' })(facts)]).toEqual([tenantFull.id]);
});
