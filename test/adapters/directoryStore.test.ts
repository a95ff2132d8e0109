import { spawnSync } from 'node:child_process';
import { chmod, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { temporaryDirectory } from '../support/temporary.ts';

test('files and folders are for their owner only', async () => {
  const directory = join(await temporaryDirectory(), 'store');
  await DirectoryStore.open(directory).put('backups/b/x.hf', Buffer.from('x'));
  const mode = async (path: string) => ((await stat(join(directory, path))).mode & 0o777).toString(8);
  expect([await mode('.'), await mode('backups/b'), await mode('backups/b/x.hf')]).toEqual(['700', '700', '600']);
});

test('of writers that race for a name, one wins and the others are told', async () => {
  const store = DirectoryStore.open(await temporaryDirectory());
  const bodies = Array.from({ length: 20 }, (_, i) => Buffer.alloc(50_000, i));
  const results = await Promise.allSettled(bodies.map((body) => store.put('keys/a', body)));
  const won = results.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []));
  expect(won).toHaveLength(1);
  expect((await store.get('keys/a')).equals(bodies[won[0]!]!)).toBe(true);
  for (const result of results) {
    if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'HF_OBJECT_EXISTS' });
  }
});

test('names cannot leave the directory', async () => {
  const store = DirectoryStore.open(await temporaryDirectory());
  for (const name of ['../x', 'a/../../x', '/etc/x', 'a//b', '', '.', 'a\\b', 'a/\0']) {
    await expect(store.put(name, Buffer.from('x'))).rejects.toMatchObject({ code: 'HF_OBJECT_NAME' });
  }
});

test('what a killed run left is not listed, and is swept when it is old', async () => {
  const directory = await temporaryDirectory();
  const store = DirectoryStore.open(directory);
  await store.put('backups/b/whole.hf', Buffer.from('x'));
  const old = join(directory, 'backups/b/.tmp-0123');
  const young = join(directory, 'backups/b/.tmp-4567');
  for (const path of [old, young]) await writeFile(path, 'half');
  await utimes(old, new Date(0), new Date(0));
  const listed: string[] = [];
  for await (const { name } of store.list('')) listed.push(name);
  expect(listed).toEqual(['backups/b/whole.hf']);
  expect(await store.sweep()).toBe(1);
  expect(await readdir(join(directory, 'backups/b'))).toEqual(['.tmp-4567', 'whole.hf']);
});

test('no room: one error, and nothing half-written', async () => {
  const directory = await temporaryDirectory();
  const script = `
    import { DirectoryStore } from ${JSON.stringify(resolve('adapters/local/directoryStore.ts'))};
    async function* body() { for (let i = 0; i < 64; i++) yield Buffer.alloc(1 << 20); }
    await DirectoryStore.open(${JSON.stringify(directory)}).putStream('backups/big', body()).catch((e) => console.log(e.code));`;
  const program = join(await temporaryDirectory(), 'write.mjs');
  await writeFile(program, script);
  // A limit on file size is the full disk that a test can have without being root.
  const shell = `trap '' XFSZ; ulimit -f 4096; exec "$0" --disable-warning=ExperimentalWarning "$1"`;
  const { stdout } = spawnSync('bash', ['-c', shell, process.execPath, program], { encoding: 'utf8' });
  expect(stdout.trim()).toBe('HF_STORE_FULL');
  expect(await readdir(join(directory, 'backups'))).toEqual([]);
});

const asUser = process.getuid?.() === 0 ? test.skip : test;
asUser('no permission', async () => {
  const directory = await temporaryDirectory();
  await chmod(directory, 0o500);
  await expect(DirectoryStore.open(directory).put('x', Buffer.from('x'))).rejects.toMatchObject({
    code: 'HF_STORE_DENIED',
  });
});

test('a place where no directory can be is named, at once', async () => {
  const file = join(await temporaryDirectory(), 'file');
  await writeFile(file, 'x');
  const impossible = [
    file,
    join(file, 'store'),
    ...(process.platform === 'linux' ? ['/proc/nope', '/proc/nope/store'] : []),
  ];
  for (const place of impossible) {
    await expect(DirectoryStore.open(place).put('a', Buffer.from('x'))).rejects.toMatchObject({
      code: 'HF_STORE_UNAVAILABLE',
    });
  }
});

test('writers that make the same folders at once do not trip over each other', async () => {
  const store = DirectoryStore.open(join(await temporaryDirectory(), 'not', 'there', 'yet'));
  await Promise.all(Array.from({ length: 20 }, (_, i) => store.put(`backups/b/c/${i}`, Buffer.from('x'))));
  const found: string[] = [];
  for await (const { name } of store.list('backups/')) found.push(name);
  expect(found).toHaveLength(20);
});

test('many at once, in folders that none of them has made yet', async () => {
  for (let round = 0; round < 5; round++) {
    const store = DirectoryStore.open(join(await temporaryDirectory(), 'a', 'b'));
    await Promise.all(Array.from({ length: 24 }, (_, i) => store.put(`keys/t${i}/x/1.json`, Buffer.from(`${i}`))));
    for (let i = 0; i < 24; i++) expect((await store.get(`keys/t${i}/x/1.json`)).toString()).toBe(`${i}`);
  }
});
