import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { KeyFile } from '../../adapters/local/keyFile.ts';
import { openPersonKeys } from '../../adapters/local/personKeyDirectory.ts';
import { rewrapTenantKeys, tenantKeys } from '../../core/keys/tenantKeys.ts';
import { silentProgress } from '../../core/ports.ts';
import { Keyring } from '../../core/snapshot/keyring.ts';
import { openStore } from '../../core/snapshot/store.ts';
import { listing } from '../cli/run.ts';
import { temporaryDirectory } from '../support/temporary.ts';

async function setUp() {
  const directory = await temporaryDirectory();
  const path = join(directory, 'key.json');
  const keys = await KeyFile.create(path);
  const store = DirectoryStore.open(join(directory, 'store'));
  const { id } = await openStore({ store, keys }, { create: true });
  const ring = (service: KeyFile) => new Keyring(store, service, id);
  const context = (service: KeyFile) => ({ store, keys: service, progress: silentProgress });
  return { directory, path, keys, store, ring, context };
}

/** As somebody would who wants to be rid of an old root key. */
async function withoutOldRoots(path: string): Promise<KeyFile> {
  const file = JSON.parse(await readFile(path, 'utf8'));
  const pruned = `${path}.pruned`;
  await writeFile(pruned, JSON.stringify({ ...file, roots: file.roots.slice(-1) }), { mode: 0o600 });
  return KeyFile.open(pruned);
}

test('after a rotation the old root still reads, the new one wraps, and both signatures hold', async () => {
  const { path, keys, ring } = await setUp();
  const before = await ring(keys).tenantKey('acme');
  const signature = await keys.sign(Buffer.from('x'));
  const rotated = await KeyFile.rotate(path);
  expect(rotated.rootKeyId).not.toBe(keys.rootKeyId);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await ring(rotated).tenantKey('acme')).toEqual(before);
  expect(await rotated.verify(Buffer.from('x'), signature)).toBe(true);
  expect((await rotated.sign(Buffer.from('x'))).keyId).not.toBe(signature.keyId);
  // What the new root wraps, the old file cannot read.
  await ring(rotated).tenantKey('new');
  await expect(ring(keys).tenantKey('new')).rejects.toMatchObject({ code: 'HF_KEY_WRONG' });
});

test('rotations at once lose nothing', async () => {
  const { path, keys, ring } = await setUp();
  await ring(keys).tenantKey('acme');
  const rotated = await Promise.all([1, 2, 3].map(() => KeyFile.rotate(path)));
  expect(new Set(rotated.map((service) => service.rootKeyId)).size).toBe(3);
  for (const [i, service] of rotated.entries()) await ring(service).tenantKey(`t${i}`);
  const last = ring(await KeyFile.open(path));
  for (const tenant of ['acme', 't0', 't1', 't2']) await last.tenantKey(tenant);
});

test('wrapped anew, a store can be read without the old root, and no object was changed', async () => {
  const { directory, path, keys, store, ring, context } = await setUp();
  const persons = openPersonKeys(join(directory, 'persons'), store, keys);
  const person = await persons.obtain('acme', ['ann']);
  const before = await ring(keys).tenantKey('acme');
  const objects = await listing(join(directory, 'store'));
  const rotated = await KeyFile.rotate(path);
  const pruned = await withoutOldRoots(path);
  await expect(ring(pruned).tenantKey('acme')).rejects.toMatchObject({ code: 'HF_KEY_WRONG' });

  expect(await rewrapTenantKeys(context(rotated))).toEqual({ rewrapped: 1, total: 1 });
  expect(await rewrapTenantKeys(context(rotated))).toEqual({ rewrapped: 0, total: 1 });
  expect(await openPersonKeys(join(directory, 'persons'), store, rotated).rewrap()).toBe(1);
  expect(await ring(pruned).tenantKey('acme')).toEqual(before);
  expect(await openPersonKeys(join(directory, 'persons'), store, pruned).obtain('acme', ['ann'])).toEqual(person);
  expect(await listing(join(directory, 'store'))).toMatchObject(objects);
  for await (const key of tenantKeys(context(rotated))) {
    expect(key).toEqual({ tenant: 'acme', id: '00001', rootKey: keys.rootKeyId, current: true });
  }
});

test('a wrap that was changed, or moved to another tenant, is not taken', async () => {
  const { directory, path, keys, ring, context } = await setUp();
  await ring(keys).tenantKey('acme');
  await ring(keys).tenantKey('beta');
  const rotated = await KeyFile.rotate(path);
  await rewrapTenantKeys(context(rotated));
  const pruned = await withoutOldRoots(path);
  const names = Object.keys(await listing(join(directory, 'store'))).filter((name) => name.startsWith('rewrapped/'));
  const [acme, beta] = ['acme', 'beta'].map((t) => join(directory, 'store', names.find((n) => n.includes(`/${t}/`))!));
  await writeFile(acme!, await readFile(beta!));
  await expect(ring(pruned).tenantKey('acme')).rejects.toMatchObject({ code: 'HF_FOREIGN_OBJECT' });
});
