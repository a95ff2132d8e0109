/** What the emulator does not do: refuse by `If-None-Match`, run out of room, deny. A strict server in a few lines does. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { S3Store } from '../../adapters/aws/s3Store.ts';

let server: Server | undefined;
let store: S3Store | undefined;
afterEach(async () => {
  store?.close();
  await new Promise((done) => (server ? server.close(done) : done(undefined)));
});

interface Answer {
  readonly status: number;
  readonly code?: string;
}

async function openAgainst(answer: (request: IncomingMessage) => Answer): Promise<{ store: S3Store; seen: string[] }> {
  const seen: string[] = [];
  server = createServer((request, response) => {
    request.resume().on('end', () => {
      const { 'if-none-match': condition = '', 'x-amz-checksum-crc32': checksum } = request.headers;
      seen.push(`${request.method} ${condition}${checksum ? ' checksum' : ''}`.trim());
      const { status, code } = answer(request);
      response.writeHead(status, { 'content-type': 'application/xml' });
      response.end(code && request.method !== 'HEAD' ? `<Error><Code>${code}</Code><Message>no</Message></Error>` : '');
    });
  });
  await new Promise<void>((done) => server!.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  store = S3Store.open(`s3://bucket/p?endpoint=http://127.0.0.1:${port}`, { credentials, maxAttempts: 2 });
  return { store, seen };
}

const absentThen = (answer: Answer) => (request: IncomingMessage) =>
  request.method === 'HEAD' ? { status: 404 } : answer;

test('writes are conditional and carry a checksum', async () => {
  const { store, seen } = await openAgainst(absentThen({ status: 200 }));
  await store.put('a', Buffer.from('x'));
  await store.putStream(
    'b',
    (async function* () {
      yield Buffer.from('y');
    })(),
  );
  expect(seen).toEqual(['HEAD', 'PUT * checksum', 'HEAD', 'PUT * checksum']);
});

test.each([
  [412, 'PreconditionFailed', 'HF_OBJECT_EXISTS'],
  [403, 'AccessDenied', 'HF_STORE_DENIED'],
  [403, 'SignatureDoesNotMatch', 'HF_STORE_DENIED'],
  [404, 'NoSuchBucket', 'HF_STORE_UNKNOWN'],
  [507, 'XMinioStorageFull', 'HF_STORE_FULL'],
  [503, 'SlowDown', 'HF_STORE_UNAVAILABLE'],
])('%i %s is %s', async (status, code, expected) => {
  const { store } = await openAgainst(absentThen({ status, code }));
  await expect(store.put('a', Buffer.from('x'))).rejects.toMatchObject({ code: expected });
});

test('a failure that passes is tried again', async () => {
  let tries = 0;
  const { store } = await openAgainst((request) => {
    if (request.method === 'HEAD') return { status: 404 };
    return tries++ === 0 ? { status: 503, code: 'SlowDown' } : { status: 200 };
  });
  await store.put('a', Buffer.from('x'));
  expect(tries).toBe(2);
});

test('nothing listens', async () => {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  store = S3Store.open('s3://bucket/p?endpoint=http://127.0.0.1:1', { credentials, maxAttempts: 1 });
  await expect(store.get('a')).rejects.toMatchObject({ code: 'HF_STORE_UNAVAILABLE' });
});

test.each(['s3:///prefix', 'http://bucket/x', 's3://b/p?endpoint=nonsense'])('%s is refused', (location) => {
  expect(() => S3Store.open(location)).toThrow(expect.objectContaining({ code: 'HF_STORE_URL' }));
});
