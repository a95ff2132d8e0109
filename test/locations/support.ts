/** A store with real backups in it, and places to copy it to: directories and a real S3 protocol server. */
import { createHash } from 'node:crypto';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { S3Store } from '../../adapters/aws/s3Store.ts';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { KeyFile } from '../../adapters/local/keyFile.ts';
import { openPersonKeys } from '../../adapters/local/personKeyDirectory.ts';
import { makeWorld, type World } from '../../bench/prove/corruption/world.ts';
import { Random } from '../../bench/prove/suite.ts';
import type { ObjectStore } from '../../core/ports.ts';
import { temporaryDirectory } from '../support/temporary.ts';

let first: Promise<World> | undefined;

/** A world of its own: a copy of one that is made once. */
export async function aWorld(): Promise<World> {
  first ??= temporaryDirectory().then((directory) => makeWorld(directory, new Random(7)));
  const world = await first;
  const directory = await temporaryDirectory();
  await cp(world.directory, directory, { recursive: true });
  const keys = await KeyFile.open(join(directory, 'key.json'));
  const store = DirectoryStore.open(join(directory, 'store'));
  const persons = openPersonKeys(join(directory, 'persons'), store, keys);
  return { ...world, directory, keys, store, persons, twin: DirectoryStore.open(join(directory, 'twin')) };
}

let server: FauxqsServer | undefined;
const stores: S3Store[] = [];
afterAll(async () => {
  for (const store of stores) store.close();
  await server?.stop();
});

let number = 0;
/** An empty place of that kind. */
export async function emptyPlace(kind: 'directory' | 's3'): Promise<ObjectStore> {
  if (kind === 'directory') return DirectoryStore.open(join(await temporaryDirectory(), 'copy'));
  server ??= await startFauxqs({ port: 0, logger: false, init: { buckets: ['copies'] } });
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const url = `s3://copies/place-${number++}?endpoint=http://127.0.0.1:${server.port}`;
  const store = S3Store.open(url, { credentials });
  stores.push(store);
  return store;
}

/** Every object with the SHA-256 of its bytes. */
export async function contents(store: ObjectStore): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name } of store.list('')) {
    found[name] = createHash('sha256')
      .update(await store.get(name))
      .digest('hex');
  }
  return found;
}

/** A store as somebody sees it who may read only: any other call fails the test. */
export function readOnly(store: ObjectStore): ObjectStore {
  const refuse = (what: string) => () => Promise.reject(new Error(`${what} on a source that may only be read`));
  return {
    description: store.description,
    get: (name, range) => store.get(name, range),
    head: (name) => store.head(name),
    list: (prefix) => store.list(prefix),
    put: refuse('put'),
    putStream: refuse('putStream'),
    delete: refuse('delete'),
  };
}

/** A store that fails from its n-th write on, as a disk that fills up or a process that is killed. */
export function failingAfter(store: ObjectStore, writes: number, error: unknown): ObjectStore {
  let left = writes;
  const spend = () => {
    if (left-- <= 0) throw error;
  };
  return {
    ...readOnly(store),
    async put(name, body) {
      spend();
      await store.put(name, body);
    },
    async putStream(name, body) {
      spend();
      await store.putStream(name, body);
    },
  };
}
