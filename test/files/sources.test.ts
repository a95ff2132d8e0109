/** What every source promises, on a directory, on a real S3 protocol server, and on a bucket that keeps versions. */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { S3Files } from '../../adapters/aws/s3Files.ts';
import { DirectoryFiles } from '../../adapters/local/directoryFiles.ts';
import type { FileAbout, FileSource, SourceFile } from '../../core/files/source.ts';
import { VersionedS3 } from '../support/aws/versionedS3.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
let server: FauxqsServer;
const opened: { close(): void }[] = [];
const buckets: VersionedS3[] = [];
beforeAll(async () => {
  server = await startFauxqs({ port: 0, logger: false, init: { buckets: ['files'] } });
});
afterAll(async () => {
  for (const source of opened) source.close();
  for (const bucket of buckets) await bucket.stop();
  await server.stop();
});

const s3 = (location: string): S3Files => {
  const source = S3Files.open(location, { credentials, maxAttempts: 1 });
  opened.push(source);
  return source;
};
let count = 0;
const kinds: Record<string, () => Promise<FileSource>> = {
  directory: async () => DirectoryFiles.open(await temporaryDirectory(), { settleMs: 0 }),
  s3: async () => s3(`s3://files/app-${count++}?endpoint=http://127.0.0.1:${server.port}`),
  'versioned s3': async () => {
    const bucket = await VersionedS3.start();
    buckets.push(bucket);
    return s3(bucket.location);
  },
};

async function* body(...pieces: (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece);
}
const put = (source: FileSource, path: string, content: string | Buffer, about: FileAbout = {}, over?: SourceFile) =>
  source.write(path, body(content), { about, stamp: 'then', ...(over ? { over } : {}) });
const get = async (source: FileSource, path: string, options = {}) => {
  const pieces: Uint8Array[] = [];
  for await (const piece of (await source.read(path, options)).body) pieces.push(piece);
  return Buffer.concat(pieces).toString();
};
const listed = async (source: FileSource) => {
  const found: SourceFile[] = [];
  for await (const file of source.list()) found.push(file);
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
};

describe.each(Object.keys(kinds))('%s', (kind) => {
  const open = () => kinds[kind]!();

  test('lists what was written, with a token that a listing and a look at one file agree on', async () => {
    const source = await open();
    for (const path of ['b/ü 🎙.opus', 'a', 'b/c/d', 'b/&<e>', 'empty']) {
      await put(source, path, path === 'empty' ? '' : `content of ${path}`);
    }
    const files = await listed(source);
    expect(files.map(({ path }) => path)).toEqual(['a', 'b/&<e>', 'b/c/d', 'b/ü 🎙.opus', 'empty']);
    for (const file of files) {
      const { settled: _, ...facts } = file;
      expect(await source.stat(file.path)).toMatchObject(facts);
      expect(await get(source, file.path, { token: file.token })).toHaveLength(
        file.path === 'empty' ? 0 : `content of ${file.path}`.length,
      );
    }
    expect(await source.stat('nothing')).toBeUndefined();
    await expect(source.read('nothing')).rejects.toMatchObject({ code: 'HF_FILE_GONE' });
  });

  test('another content is another token, and a reading under the old one is refused', async () => {
    const source = await open();
    await put(source, 'a', 'one');
    const before = (await source.stat('a'))!;
    await put(source, 'a', 'two', {}, before);
    expect((await source.stat('a'))!.token).not.toBe(before.token);
    await expect(get(source, 'a', { token: before.token })).rejects.toMatchObject({ code: 'HF_FILE_CHANGED' });
  });

  test('never writes over what it was not shown', async () => {
    const source = await open();
    await put(source, 'a', 'one');
    await expect(put(source, 'a', 'two')).rejects.toMatchObject({ code: 'HF_FILE_CONFLICT' });
    const before = (await source.stat('a'))!;
    await put(source, 'a', 'three!', {}, before);
    await expect(put(source, 'a', 'four', {}, before)).rejects.toMatchObject({ code: 'HF_FILE_CONFLICT' });
    expect(await get(source, 'a')).toBe('three!');
  });

  test('keeps what it replaces: as a version, or beside, where no listing shows it', async () => {
    const source = await open();
    await put(source, 'b/a', 'old');
    const { kept } = await put(source, 'b/a', 'new', {}, (await source.stat('b/a'))!);
    expect((await listed(source)).map(({ path }) => path)).toEqual(['b/a']);
    if (kind === 'versioned s3') {
      expect(kept).toBeUndefined();
      const histories = (await source.history('b/a'))!;
      for await (const { path, versions } of histories) {
        expect(path).toBe('b/a');
        expect(versions.map(({ deleted }) => deleted)).toEqual([false, false]);
        expect(await get(source, 'b/a', { version: versions[1]!.id })).toBe('old');
      }
    } else {
      expect(kept).toBe('.holdfast-kept/then/b/a');
      expect(await source.history('')).toBeUndefined();
      expect(source.problem(kept!)).toBeDefined();
    }
  });

  test('a body that fails leaves what was there, and gives its own error', async () => {
    const source = await open();
    async function* failing() {
      yield Buffer.alloc(1000);
      throw new RangeError('the content is damaged');
    }
    const options = { about: {}, stamp: 'then' };
    await expect(source.write('a', failing(), options)).rejects.toThrow('the content is damaged');
    expect(await listed(source)).toEqual([]);
    await put(source, 'a', 'good');
    const over = (await source.stat('a'))!;
    await expect(source.write('a', failing(), { ...options, over })).rejects.toThrow('the content is damaged');
    expect(await get(source, 'a')).toBe('good');
  });

  test('names that lead elsewhere are no files', async () => {
    const source = await open();
    for (const path of ['', '../a', 'a/../../b', 'a/./b', 'a\0b', 'x'.repeat(4000)]) {
      expect(source.problem(path)).toBeDefined();
      expect(await source.stat(path)).toBeUndefined();
      await expect(put(source, path, 'x')).rejects.toMatchObject({ code: 'HF_FILE_UNREADABLE' });
    }
  });
});

test('S3: type and metadata come back with a file, and a large one goes up in parts', async () => {
  const source = await kinds.s3!();
  const large = randomBytes(9 << 20);
  await put(source, 'large', large, { ContentType: 'audio/opus', 'x-amz-meta-device': 'recorder' });
  const { about, file } = await source.read('large');
  expect(about).toMatchObject({ ContentType: 'audio/opus', 'x-amz-meta-device': 'recorder' });
  // The time of an upload in parts is that of its beginning.
  expect(file.since).toBeUndefined();
  expect(file.size).toBe(large.length);
});

test('S3: what cannot be reached is not what is empty', async () => {
  const nowhere = s3('s3://files/x?endpoint=http://127.0.0.1:1');
  await expect(listed(nowhere)).rejects.toMatchObject({ code: 'HF_FILES_SOURCE' });
  await expect(listed(s3(`s3://no-such-bucket/?endpoint=http://127.0.0.1:${server.port}`))).rejects.toMatchObject({
    code: 'HF_FILES_SOURCE',
  });
  await expect(listed(DirectoryFiles.open('/no/such/place'))).rejects.toMatchObject({ code: 'HF_FILES_SOURCE' });
});

test('a directory: links are not followed, on the way in or out', async () => {
  const [inside, outside] = [await temporaryDirectory(), await temporaryDirectory()];
  await writeFile(join(outside, 'secret'), 'not yours');
  await symlink(outside, join(inside, 'folder'));
  await symlink(join(outside, 'secret'), join(inside, 'file'));
  const source = DirectoryFiles.open(inside);
  expect(await listed(source)).toEqual([]);
  expect(await source.stat('file')).toBeUndefined();
  await expect(source.read('file')).rejects.toMatchObject({ code: 'HF_FILE_UNREADABLE' });
  await expect(source.read('folder/secret')).rejects.toMatchObject({ code: 'HF_FILE_UNREADABLE' });
  await expect(put(source, 'folder/new', 'x')).rejects.toMatchObject({ code: 'HF_FILE_UNREADABLE' });
  expect(await readdir(outside)).toEqual(['secret']);
});

test('a directory: mode and time come back in place; new files are 0600; unfinished files are nobody’s', async () => {
  const directory = await temporaryDirectory();
  const source = DirectoryFiles.open(directory);
  await put(source, 'private', 'x');
  await put(source, 'shared', 'x', { mode: '644', modified: '2020-02-02T02:02:02.000Z' });
  expect((await stat(join(directory, 'private'))).mode & 0o777).toBe(0o600);
  const shared = await stat(join(directory, 'shared'));
  expect(shared.mode & 0o777).toBe(0o644);
  expect(shared.mtime.toISOString()).toBe('2020-02-02T02:02:02.000Z');
  await mkdir(join(directory, 'sub'));
  await writeFile(join(directory, 'sub', '.tmp-1'), 'half');
  expect((await listed(source)).map(({ path }) => path)).toEqual(['private', 'shared']);
  // Just written: another change might not show yet.
  expect((await source.stat('shared'))!.settled).toBe(false);
});
