import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { KeyFile } from '../../adapters/local/keyFile.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const context = { purpose: 'test', tenant: 'acme' };

test('wraps for one context, and only this key file unwraps', async () => {
  const directory = await temporaryDirectory();
  const path = join(directory, 'key.json');
  const { plaintext, wrapped } = await (await KeyFile.create(path)).generate(context);
  const keys = await KeyFile.open(path);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await keys.unwrap(wrapped, { tenant: 'acme', purpose: 'test' })).equals(plaintext)).toBe(true);
  const wrong = { code: 'HF_KEY_WRONG' };
  await expect(keys.unwrap(wrapped, { ...context, tenant: 'other' })).rejects.toMatchObject(wrong);
  await expect(keys.unwrap(wrapped.subarray(1), context)).rejects.toMatchObject(wrong);
  await expect(keys.unwrap(Buffer.alloc(0), context)).rejects.toMatchObject(wrong);
  const other = await KeyFile.create(join(directory, 'other.json'));
  await expect(other.unwrap(wrapped, context)).rejects.toMatchObject(wrong);
});

test('older root and signing keys still unwrap and verify; the newest wrap and sign', async () => {
  const path = join(await temporaryDirectory(), 'key.json');
  const first = await KeyFile.create(path);
  const { plaintext, wrapped } = await first.generate(context);
  const signature = await first.sign(Buffer.from('message'));
  const file = JSON.parse(await readFile(path, 'utf8'));
  file.roots.push({ ...file.roots[0], version: 2, key: Buffer.alloc(32, 7).toString('base64') });
  await writeFile(path, JSON.stringify(file));
  const rotated = await KeyFile.open(path);
  expect(rotated.rootKeyId).toMatch(/^local:[0-9a-f]{16}#2$/);
  expect((await rotated.unwrap(wrapped, context)).equals(plaintext)).toBe(true);
  expect(await rotated.verify(Buffer.from('message'), signature)).toBe(true);
  expect(await rotated.verify(Buffer.from('messagf'), signature)).toBe(false);
  expect(await rotated.verify(Buffer.from('message'), { ...signature, keyId: 'local:other#sign-1' })).toBe(false);
});

test('refuses a file that others can read, is missing, is no key file, or is there already', async () => {
  const path = join(await temporaryDirectory(), 'key.json');
  await expect(KeyFile.open(path)).rejects.toMatchObject({ code: 'HF_KEY_FILE_MISSING' });
  await KeyFile.create(path);
  await expect(KeyFile.create(path)).rejects.toMatchObject({ code: 'HF_KEY_FILE_EXISTS' });
  await chmod(path, 0o640);
  await expect(KeyFile.open(path)).rejects.toMatchObject({ code: 'HF_KEY_FILE_MODE', details: { got: '0640' } });
  await chmod(path, 0o600);
  for (const text of ['secret, but not JSON', '{}', '{"format":"holdfast-key-file","version":1,"id":"a","roots":[]}']) {
    await writeFile(path, text);
    const error = await KeyFile.open(path).catch((e: Error) => e);
    expect(error).toMatchObject({ code: 'HF_KEY_FILE_MALFORMED' });
    expect((error as Error).message).not.toContain('secret');
  }
});

test('a key that is damaged, or there twice, is named, and nothing of it is shown', async () => {
  const path = join(await temporaryDirectory(), 'key.json');
  await KeyFile.create(path);
  const sound = JSON.parse(await readFile(path, 'utf8'));
  const [root] = sound.roots;
  const [sign] = sound.signing;
  for (const [damage, message] of [
    [{ roots: [{ ...root, key: root.key.slice(4) }] }, 'root key 1 is damaged'],
    [{ roots: [{ ...root, version: '1' }] }, 'root key 1 is damaged'],
    [{ roots: [{ ...root, createdAt: 'some day' }] }, 'root key 1 is damaged'],
    [{ roots: [root, { ...root, key: Buffer.alloc(32).toString('base64') }] }, 'a root key is there twice'],
    [{ signing: [{ ...sign, privateKey: sign.privateKey.slice(0, 40) }] }, 'signing key sign-1 is damaged'],
    [{ signing: [sign, sign] }, 'a signing key is there twice'],
    [{ signing: [] }, 'its keys are incomplete'],
  ] as const) {
    await writeFile(path, JSON.stringify({ ...sound, ...damage }));
    const error = (await KeyFile.open(path).catch((e: Error) => e)) as Error;
    expect(error).toMatchObject({ code: 'HF_KEY_FILE_MALFORMED', message: expect.stringContaining(message) });
    expect(JSON.stringify([error.message, error.cause])).not.toContain(sign.privateKey.slice(10, 30));
  }
});
