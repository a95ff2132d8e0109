import { execFile } from 'node:child_process';
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { KeyFile } from '../../adapters/local/keyFile.ts';
import { openPersonKeys } from '../../adapters/local/personKeyDirectory.ts';
import { temporaryDirectory } from '../support/temporary.ts';

async function setUp() {
  const directory = await temporaryDirectory();
  const keys = await KeyFile.create(join(directory, 'key.json'));
  const store = DirectoryStore.open(join(directory, 'store'));
  return { directory, keys, open: () => openPersonKeys(join(directory, 'persons'), store, keys) };
}
const bin = (directory: string, tenant = 'acme') => join(directory, 'persons', tenant, 'keys.bin');

test('a key per person and tenant, the same for everyone who asks', async () => {
  const { directory, open } = await setUp();
  const persons = Array.from({ length: 10_000 }, (_, i) => `user-${i}`);
  const made = await open().obtain('acme', [...persons, 'user-7']);
  const read = await open().obtain('acme', persons);
  expect(made.size).toBe(10_000);
  expect([...read]).toEqual([...made].slice(0, 10_000));
  const { ref, key } = made.get('user-7')!;
  expect(ref).toMatch(/^[0-9a-f]{32}$/);
  expect((await open().lookup('acme', [ref, '0'.repeat(32)])).get(ref)!.key.equals(key)).toBe(true);
  expect((await open().obtain('other', ['user-7'])).get('user-7')).not.toEqual(made.get('user-7'));
  const bytes = await readFile(bin(directory));
  expect(bytes.includes('user-7') || bytes.includes(key)).toBe(false);
});

test('an erased person is fenced: no key, for nobody, ever again', async () => {
  const { directory, open } = await setUp();
  const [writer, reader] = [open(), open()];
  const made = await writer.obtain('acme', ['a', 'b']);
  await reader.obtain('acme', ['a', 'b']);
  const before = await readFile(bin(directory));
  const ref = await writer.erase('acme', 'a');
  expect(ref).toBe(made.get('a')!.ref);
  // Another process that had cached the key drops it.
  for (const persons of [writer, reader, open()]) {
    expect([...(await persons.obtain('acme', ['a', 'b'])).keys()]).toEqual(['b']);
    expect(await persons.lookup('acme', [ref])).toEqual(new Map());
    expect(await persons.state('acme', ref)).toBe('erased');
  }
  // In place: the wrapped key is nowhere in the file any more.
  const wrapped = before.subarray(24 + 24, 24 + 84);
  const after = await readFile(bin(directory));
  expect(before.includes(wrapped)).toBe(true);
  expect(after).toHaveLength(before.length);
  expect(after.includes(wrapped)).toBe(false);
  expect(await writer.erase('acme', 'a')).toBe(ref);
});

test('a person who never had a key can be erased before', async () => {
  const { open } = await setUp();
  const ref = await open().erase('acme', 'never seen');
  expect(await open().obtain('acme', ['never seen'])).toEqual(new Map());
  expect(await open().state('acme', ref)).toBe('erased');
  expect(await open().state('acme', 'f'.repeat(32))).toBe('unknown');
  expect(await open().state('nobody', ref)).toBe('unknown');
});

test('processes that ask at once agree on every key', async () => {
  const { directory, open } = await setUp();
  const program = join(directory, 'obtain.mjs');
  const from = (path: string) => JSON.stringify(resolve(path));
  await writeFile(
    program,
    `import { KeyFile } from ${from('adapters/local/keyFile.ts')};
     import { DirectoryStore } from ${from('adapters/local/directoryStore.ts')};
     import { openPersonKeys } from ${from('adapters/local/personKeyDirectory.ts')};
     const [directory, start] = process.argv.slice(2);
     const keys = await KeyFile.open(directory + '/key.json');
     const persons = openPersonKeys(directory + '/persons', DirectoryStore.open(directory + '/store'), keys);
     const found = {};
     for (let i = 0; i < 200; i += 10) {
       const names = Array.from({ length: 20 }, (_, n) => 'user-' + ((Number(start) + i + n) % 250));
       for (const [name, { key }] of await persons.obtain('acme', names)) found[name] = key.toString('hex');
     }
     console.log(JSON.stringify(found));`,
  );
  const run = promisify(execFile);
  const outputs = await Promise.all(
    [0, 60, 120].map((start) => run(process.execPath, [program, directory, `${start}`])),
  );
  const all = await open().obtain(
    'acme',
    Array.from({ length: 250 }, (_, i) => `user-${i}`),
  );
  for (const { stdout } of outputs) {
    for (const [person, key] of Object.entries(JSON.parse(stdout)))
      expect(all.get(person)!.key.toString('hex')).toBe(key);
  }
});

test('a lock whose holder died is taken over', async () => {
  const { directory, open } = await setUp();
  await open().obtain('acme', ['a']);
  const { stdout } = await promisify(execFile)(process.execPath, ['-p', 'process.pid']);
  const { hostname } = await import('node:os');
  await writeFile(join(directory, 'persons/acme/lock'), JSON.stringify({ pid: Number(stdout), host: hostname() }));
  expect((await open().obtain('acme', ['b'])).size).toBe(1);
  expect(await readdir(join(directory, 'persons/acme'))).toEqual(['keys.bin', 'tenant.json']);
});

test('an append that a crash cut off is forgotten; damage before it is named', async () => {
  const { directory, open } = await setUp();
  const first = await open().obtain('acme', ['a', 'b']);
  const whole = await readFile(bin(directory));
  await writeFile(bin(directory), Buffer.concat([whole, Buffer.alloc(50, 1)]));
  expect(await open().obtain('acme', ['a', 'b'])).toEqual(first);
  const later = await open().obtain('acme', ['c']);
  expect(await open().obtain('acme', ['c'])).toEqual(later);

  const bytes = await readFile(bin(directory));
  bytes[24 + 60] = bytes[24 + 60]! ^ 1;
  await writeFile(bin(directory), bytes);
  await expect(open().obtain('acme', ['a'])).rejects.toMatchObject({ code: 'HF_PERSON_KEYS_CORRUPT' });
  await truncate(bin(directory), 100);
  await expect(open().obtain('acme', ['a'])).rejects.toMatchObject({ code: 'HF_PERSON_KEYS_CORRUPT' });
});

test('a directory that cannot be used is one clear error', async () => {
  const { directory, keys } = await setUp();
  const store = DirectoryStore.open(join(directory, 'store'));
  await writeFile(join(directory, 'a-file'), '');
  await expect(openPersonKeys(join(directory, 'a-file'), store, keys).obtain('acme', ['a'])).rejects.toMatchObject({
    code: expect.stringMatching(/^HF_/),
  });
  const persons = openPersonKeys(join(directory, 'persons'), store, keys);
  await persons.obtain('acme', ['a']);
  await writeFile(join(directory, 'persons/acme/tenant.json'), 'not JSON');
  const again = openPersonKeys(join(directory, 'persons'), store, keys);
  await expect(again.obtain('acme', ['a'])).rejects.toMatchObject({ code: 'HF_PERSON_KEYS_CORRUPT' });
  const other = await KeyFile.create(join(directory, 'other.json'));
  await persons.obtain('beta', ['a']);
  const wrong = openPersonKeys(join(directory, 'persons'), store, other).obtain('beta', ['a']);
  await expect(wrong).rejects.toMatchObject({ code: 'HF_KEY_WRONG' });
});

test('refuses to lie inside the object store, or around it', async () => {
  const { directory, keys } = await setUp();
  const store = DirectoryStore.open(join(directory, 'store'));
  for (const place of ['store', 'store/persons', '.', 'store/../store/x']) {
    expect(() => openPersonKeys(join(directory, place), store, keys)).toThrow(
      expect.objectContaining({ code: 'HF_PERSON_KEYS_IN_STORE' }),
    );
  }
  openPersonKeys(join(directory, 'store-of-persons'), store, keys);
});

test('whoever looks while the first keys of a tenant are written sees none yet, and no damage', async () => {
  const { open } = await setUp();
  const all = Array.from({ length: 6 }, open);
  const persons = Array.from({ length: 400 }, (_, i) => `user-${i}`);
  for (let n = 0; n < 25; n++) {
    const found = await Promise.all(all.map((keys) => keys.obtain(`tenant-${n}`, persons)));
    expect(new Set(found.map((keys) => keys.get('user-7')!.ref)).size).toBe(1);
  }
});
