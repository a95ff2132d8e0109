/** What the protocol server of the other tests does not know: object lock. A strict server in a few lines does. */
import { execFile } from 'node:child_process';
import { chmod, stat, unlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from '@jest/globals';
import { S3Store } from '../../adapters/aws/s3Store.ts';
import { LockedDirectory } from '../../adapters/local/lockedDirectory.ts';
import { temporaryDirectory } from '../support/temporary.ts';

let server: Server | undefined;
let store: S3Store | undefined;
afterEach(async () => {
  store?.close();
  await new Promise((done) => (server ? server.close(done) : done(undefined)));
});

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly mode: string | undefined;
  readonly until: string | undefined;
  body: string;
}

/** @param bucketLock the bucket's own configuration; undefined: object lock is off, and such puts are refused */
async function openAgainst(bucketLock: string | undefined, head: Record<string, string> = {}) {
  const seen: Seen[] = [];
  server = createServer((request: IncomingMessage, response) => {
    const { 'x-amz-object-lock-mode': mode, 'x-amz-object-lock-retain-until-date': until } = request.headers;
    const one: Seen = {
      method: request.method!,
      url: request.url!,
      mode: mode as string,
      until: until as string,
      body: '',
    };
    request.on('data', (bytes) => {
      one.body += bytes;
    });
    request.on('end', () => {
      seen.push(one);
      const answer = (status: number, body = '', headers = {}) => response.writeHead(status, headers).end(body);
      const error = (code: string, text: string) => `<Error><Code>${code}</Code><Message>${text}</Message></Error>`;
      if (one.url.includes('?object-lock')) {
        if (bucketLock !== undefined) return answer(200, bucketLock);
        return answer(404, error('ObjectLockConfigurationNotFoundError', 'Object Lock configuration does not exist'));
      }
      if (one.method === 'HEAD') return Object.keys(head).length ? answer(200, '', head) : answer(404);
      if (one.mode && bucketLock === undefined) {
        return answer(400, error('InvalidRequest', 'Bucket is missing Object Lock Configuration'));
      }
      return answer(200);
    });
  });
  await new Promise<void>((done) => server!.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const url = `s3://vault/p?endpoint=http://127.0.0.1:${port}`;
  store = S3Store.open(url, { credentials, maxAttempts: 1 }, { mode: 'compliance', days: 400 });
  return { store, seen };
}

const configuration = (mode: string, days: number) =>
  `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>${mode}</Mode><Days>${days}</Days></DefaultRetention></Rule></ObjectLockConfiguration>`;
const ENABLED = '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>';

test.each([
  ['that locks nothing by itself', ENABLED],
  ['that locks for less time', configuration('COMPLIANCE', 30)],
  ['whose lock can be lifted', configuration('GOVERNANCE', 4000)],
])('every object is put under the lock in a bucket %s', async (_, bucketLock) => {
  const { store, seen } = await openAgainst(bucketLock);
  await store.put('a', Buffer.from('x'));
  await store.putStream(
    'b',
    (async function* () {
      yield Buffer.from('y');
    })(),
  );
  const puts = seen.filter(({ method }) => method === 'PUT');
  expect(puts.map(({ mode }) => mode)).toEqual(['COMPLIANCE', 'COMPLIANCE']);
  for (const { until } of puts) expect(Date.parse(until!) / 86_400_000 - Date.now() / 86_400_000).toBeCloseTo(400, 1);
  expect(seen.filter(({ url }) => url.includes('object-lock'))).toHaveLength(1);
});

test('a bucket that locks as strongly by itself is left to it: it may refuse writers that name a lock', async () => {
  const { store, seen } = await openAgainst(configuration('COMPLIANCE', 400));
  await store.put('a', Buffer.from('x'));
  expect(seen.find(({ method }) => method === 'PUT')!.mode).toBeUndefined();
});

test('a bucket without object lock is refused, by a name of its own', async () => {
  const { store } = await openAgainst(undefined);
  await expect(store.put('a', Buffer.from('x'))).rejects.toMatchObject({ code: 'HF_LOCK_UNSUPPORTED' });
});

test('the lock of an object is asked of the store', async () => {
  const until = '2027-12-31T00:00:00.000Z';
  const { store, seen } = await openAgainst(ENABLED, {
    'x-amz-object-lock-mode': 'COMPLIANCE',
    'x-amz-object-lock-retain-until-date': until,
  });
  expect(await store.lockOf('a')).toEqual({ mode: 'compliance', until });
  await store.lock('a');
  expect(seen.filter(({ method }) => method === 'PUT')).toEqual([]);
});

test('an object that a killed run left unlocked is locked', async () => {
  const { store, seen } = await openAgainst(ENABLED, { 'content-length': '1' });
  expect(await store.lockOf('a')).toBeUndefined();
  await store.lock('a');
  expect(seen.find(({ method }) => method === 'PUT')).toMatchObject({
    url: '/vault/p/a?retention=',
    body: expect.stringContaining('<Mode>COMPLIANCE</Mode>'),
  });
});

const run = promisify(execFile);

test('files of a locked directory: immutable where this machine can, else read-only, and it says which', async () => {
  const directory = await temporaryDirectory();
  const locked = LockedDirectory.open(directory);
  await locked.put('keys/a.json', Buffer.from('x'));
  const path = join(directory, 'keys/a.json');
  expect((await stat(path)).mode & 0o777).toBe(0o400);
  const lock = await locked.lockOf('keys/a.json');
  try {
    await run('lsattr', ['-d', path]).then(
      ({ stdout }) => expect(lock?.mode).toBe(stdout.split(' ')[0]!.includes('i') ? 'immutable' : 'read-only'),
      () => expect(lock?.mode).toBe('read-only'),
    );
    if (lock?.mode === 'immutable') {
      await expect(unlink(path)).rejects.toMatchObject({ code: 'EPERM' });
      await expect(locked.delete('keys/a.json')).rejects.toMatchObject({ code: 'HF_STORE_DENIED' });
      await locked.lock('keys/a.json'); // again: nothing to do
    }
    expect((await locked.get('keys/a.json')).toString()).toBe('x');
    await expect(locked.put('keys/a.json', Buffer.from('y'))).rejects.toMatchObject({ code: 'HF_OBJECT_EXISTS' });
  } finally {
    await run('chattr', ['-i', path]).catch(() => {});
  }
  await chmod(path, 0o600);
  expect(await locked.lockOf('keys/a.json')).toBeUndefined();
});
