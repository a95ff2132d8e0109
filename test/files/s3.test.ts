/** Files in S3, backed up into S3: uploads in parts, ranges, and the same answers. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { S3Files } from '../../adapters/aws/s3Files.ts';
import { S3Store } from '../../adapters/aws/s3Store.ts';
import { openPersonKeys } from '../../adapters/local/personKeyDirectory.ts';
import { backUpFiles } from '../../core/files/backup.ts';
import { checkFiles } from '../../core/files/check.ts';
import { restoreFiles } from '../../core/files/restore.ts';
import type { World } from '../snapshot/world.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { freshWorld, makeDatabase } from './filesWorld.ts';

const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
let server: FauxqsServer;
let database: World;
let source: S3Files;
let store: S3Store;

beforeAll(async () => {
  database = await makeDatabase();
  server = await startFauxqs({ port: 0, logger: false, init: { buckets: ['uploads', 'backups'] } });
  const at = `?endpoint=http://127.0.0.1:${server.port}`;
  source = S3Files.open(`s3://uploads/${at}`, { credentials });
  store = S3Store.open(`s3://backups/vault${at}`, { credentials });
});
afterAll(async () => {
  source.close();
  store.close();
  await server.stop();
  await database.database.drop();
});

async function* body(content: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 700_000) yield content.subarray(at, at + 700_000);
}
const hashOf = async (path: string) => {
  const hash = createHash('sha256');
  for await (const piece of (await source.read(path)).body) hash.update(piece);
  return hash.digest('hex');
};

test('a bucket to a bucket and back', async () => {
  const world = await freshWorld(database, source);
  const persons = openPersonKeys(await temporaryDirectory(), store, world.ctx.keys);
  const ctx = { ...world.ctx, store, persons };
  const notes = await world.notes();
  const large = randomBytes(9 << 20);
  for (const [i, { path }] of notes.entries()) {
    const content = i === 0 ? large : Buffer.from(`sound ${i}`);
    await source.write(path, body(content), { about: { ContentType: 'audio/opus' }, stamp: 'x' });
  }
  const { manifest } = await backUpFiles(ctx, [world.set]);
  expect(manifest.totals).toMatchObject({ files: notes.length, read: notes.length, gone: 0, unread: 0 });
  expect((await backUpFiles(ctx, [world.set])).manifest.totals).toMatchObject({ read: 0, storedBytes: 0 });
  expect(await checkFiles(ctx, { deep: true })).toMatchObject({ faults: [], contents: notes.length });

  const [{ path, tenant }] = notes as [(typeof notes)[number]];
  const before = (await source.stat(path))!;
  await source.write(path, body(Buffer.from('ruined')), { about: {}, stamp: 'y', over: before });
  const targets = [{ set: world.set, target: source, inPlace: world.set }];
  await expect(restoreFiles(ctx, targets, { tenant })).rejects.toMatchObject({ code: 'HF_FILE_CONFLICT' });
  const report = await restoreFiles(ctx, targets, { tenant, existing: 'replace' });
  expect(report).toMatchObject({ failed: [], notes: [] });
  expect(await hashOf(path)).toBe(createHash('sha256').update(large).digest('hex'));
  expect((await source.read(path)).about).toMatchObject({ ContentType: 'audio/opus' });
  const { kept } = report.files.find((f) => f.path === path)!;
  expect(await hashOf(kept!)).toBe(createHash('sha256').update('ruined').digest('hex'));
}, 60_000);
