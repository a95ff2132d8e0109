/** What every object store promises, on a directory and on a real S3 protocol server. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { S3Store } from '../../adapters/aws/s3Store.ts';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import type { ObjectStore } from '../../core/ports.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
let server: FauxqsServer;
const stores: S3Store[] = [];

beforeAll(async () => {
  server = await startFauxqs({ port: 0, logger: false, init: { buckets: ['backups'] } });
});
afterAll(async () => {
  for (const store of stores) store.close();
  await server.stop();
});

let count = 0;
const kinds: Record<string, () => Promise<ObjectStore>> = {
  directory: async () => DirectoryStore.open(await temporaryDirectory()),
  s3: async () => {
    const location = `s3://backups/some/prefix-${count++}?endpoint=http://127.0.0.1:${server.port}`;
    const store = S3Store.open(location, { credentials });
    stores.push(store);
    return store;
  },
};

async function* pieces(total: number, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < total; at += size) yield Buffer.alloc(Math.min(size, total - at), at % 251);
}

const names = async (store: ObjectStore, prefix: string) => {
  const found: string[] = [];
  for await (const { name, size } of store.list(prefix)) found.push(`${name} ${size}`);
  return found;
};

describe.each(Object.keys(kinds))('%s', (kind) => {
  const open = () => kinds[kind]!();

  test('gives back what was put, whole and by range', async () => {
    const store = await open();
    const body = randomBytes(100_000);
    await store.put('backups/b/chunk-00001.hf', body);
    expect((await store.get('backups/b/chunk-00001.hf')).equals(body)).toBe(true);
    const range = { offset: 99_990, length: 10 };
    expect((await store.get('backups/b/chunk-00001.hf', range)).equals(body.subarray(99_990))).toBe(true);
    expect(await store.get('backups/b/chunk-00001.hf', { offset: 5, length: 0 })).toHaveLength(0);
    expect(await store.head('backups/b/chunk-00001.hf')).toEqual({ size: 100_000 });
  });

  test('streams bodies of several parts, of one piece, and of none', async () => {
    const store = await open();
    const total = 20 << 20;
    await store.putStream('big', pieces(total, 999_983));
    expect(await store.head('big')).toEqual({ size: total });
    const tail = await store.get('big', { offset: total - 3, length: 3 });
    expect(tail.equals(Buffer.alloc(3, (Math.floor((total - 1) / 999_983) * 999_983) % 251))).toBe(true);
    await store.putStream('small', pieces(10, 10));
    await store.putStream('empty', pieces(0, 1));
    expect(await store.get('small')).toHaveLength(10);
    expect(await store.head('empty')).toEqual({ size: 0 });
  });

  test('never overwrites', async () => {
    const store = await open();
    await store.put('a', Buffer.from('first'));
    await expect(store.put('a', Buffer.from('second'))).rejects.toMatchObject({ code: 'HF_OBJECT_EXISTS' });
    await expect(store.putStream('a', pieces(9, 3))).rejects.toMatchObject({ code: 'HF_OBJECT_EXISTS' });
    expect((await store.get('a')).toString()).toBe('first');
  });

  test('a body that fails leaves no object and gives its own error', async () => {
    const store = await open();
    async function* failing(): AsyncGenerator<Buffer> {
      yield* pieces(9 << 20, 1 << 20);
      throw new RangeError('the source broke');
    }
    await expect(store.putStream('backups/x', failing())).rejects.toThrow('the source broke');
    expect(await store.head('backups/x')).toBeUndefined();
    expect(await names(store, '')).toEqual([]);
    await store.put('backups/x', Buffer.from('the name is still free'));
  });

  test('lists by prefix, in order of names', async () => {
    const store = await open();
    for (const name of ['b/2', 'b/10', 'b-a/1', 'a', 'b/c/d', 'bb']) await store.put(name, Buffer.from(name));
    expect(await names(store, 'b/')).toEqual(['b/10 4', 'b/2 3', 'b/c/d 5']);
    expect(await names(store, 'b')).toEqual(['b-a/1 5', 'b/10 4', 'b/2 3', 'b/c/d 5', 'bb 2']);
    expect(await names(store, 'b/1')).toEqual(['b/10 4']);
    expect(await names(store, 'nothing/here')).toEqual([]);
  });

  test('names what is missing or too short', async () => {
    const store = await open();
    await store.put('short', Buffer.alloc(10));
    await expect(store.get('none')).rejects.toMatchObject({ code: 'HF_OBJECT_MISSING', details: { object: 'none' } });
    for (const range of [
      { offset: 5, length: 6 },
      { offset: 10, length: 1 },
      { offset: 99, length: 1 },
    ]) {
      await expect(store.get('short', range)).rejects.toMatchObject({ code: 'HF_OBJECT_TRUNCATED' });
    }
    expect(await store.head('none')).toBeUndefined();
  });

  test('deletes, also what is gone already', async () => {
    const store = await open();
    await store.put('a/b', Buffer.from('x'));
    await store.delete('a/b');
    await store.delete('a/b');
    expect(await store.head('a/b')).toBeUndefined();
  });
});
