/** What breaks under a running command: the disk is full, the server is killed, someone presses Ctrl-C. */
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, expect, test } from '@jest/globals';
import { EmbeddedServer } from '../../adapters/local/embedded.ts';
import { connect } from '../../core/sql.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { createShop, digest, INIT, type Shop } from './shop.ts';

const run = promisify(execFile);
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function protectedShop(serverUrl?: string): Promise<Shop> {
  const shop = await createShop(serverUrl);
  await shop.run(...INIT);
  expect((await shop.run('install')).code).toBe(0);
  return shop;
}

const manifests = async (shop: Shop, store = 'holdfast-store'): Promise<string[]> =>
  (await readdir(join(shop.cwd, store), { recursive: true })).filter((name) => /^manifests\/.*\.json$/.test(name));

/** Waits until a session of Holdfast waits for a lock. */
async function blocked(url: string): Promise<void> {
  const client = await connect(url);
  for (let i = 0; i < 400; i++) {
    const { rowCount } = await client.query(
      `select from pg_stat_activity where application_name like 'holdfast-%' and wait_event_type = 'Lock'`,
    );
    if (rowCount) break;
    await sleep(50);
  }
  await client.end();
}

/** A real file system of 192 KiB where this user may mount one; else a limit on the size of files. */
async function smallDisk(directory: string): Promise<string | undefined> {
  await mkdir(directory);
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=192k', 'tmpfs', directory]);
  } catch {
    return 'ulimit -f 64'; // in KiB
  }
  cleanups.push(() => run('umount', [directory]));
  return undefined;
}

test('a full disk', async () => {
  const shop = await protectedShop();
  cleanups.push(() => shop.database.drop());
  await shop.client.query(
    `insert into "Shop"."Aufträge" (kunde, notiz, betrag)
     select 1, string_agg(md5(random()::text), ''), 0 from generate_series(1, 20) i, generate_series(1, 800) group by i`,
  );
  const path = join(shop.cwd, 'holdfast.yaml');
  const yaml = (await readFile(path, 'utf8')).replace(/^store:.*$/m, '');
  await writeFile(path, `${yaml}\nstore: ./small/store\n`);
  const after = await smallDisk(join(shop.cwd, 'small'));

  const before = await digest(shop.client);
  const ran = await shop.runWith(after ? { after } : {}, 'backup', '--json');
  expect(ran).toMatchObject({
    code: 1,
    json: { error: { code: 'HF_STORE_FULL', action: expect.stringMatching(/space/) } },
  });
  expect(await manifests(shop, 'small/store')).toEqual([]);
  expect(await digest(shop.client)).toBe(before);

  // With room again the same command goes through.
  if (!after) await run('mount', ['-o', 'remount,size=8m', join(shop.cwd, 'small')]);
  expect(await shop.run('backup', '--json')).toMatchObject({ code: 0, json: { proof: { ok: true } } });
}, 60_000);

test('a killed server, under a backup and under a restore', async () => {
  const directory = await temporaryDirectory();
  let server = await EmbeddedServer.start({ directory });
  cleanups.push(() => server.stop());
  const shop = await protectedShop(server.url());
  expect((await shop.run('backup', '--no-prove')).code).toBe(0);
  const made = await manifests(shop);
  expect((await shop.run('restore-point', 'create', 'good', '-t', '2')).code).toBe(0);
  await shop.client.query(`update "Shop"."Aufträge" set betrag = 0`);
  const before = await digest(shop.client);

  for (const args of [['backup'], ['pitr', '-t', '2', '--point', 'good']]) {
    // The command waits for this lock when the server dies under it.
    const holder = await connect(shop.database.url);
    await holder.query('begin; lock table "Shop"."Aufträge" in access exclusive mode');
    const running = shop.run(...args, '--json');
    await blocked(shop.database.url);
    await server.kill9();
    expect(await running).toMatchObject({ code: 1, json: { error: { code: 'HF_DATABASE_LOST' } } });
    await holder.end().catch(() => {}); // its connection is gone
    server = await EmbeddedServer.start({ directory });
    const client = await connect(shop.database.url);
    expect(await digest(client)).toBe(before);
    await client.end();
    expect(await manifests(shop)).toEqual(made);
  }
  // Both go through when the server is back.
  expect((await shop.run('backup', '--no-prove')).code).toBe(0);
  expect((await shop.run('pitr', '-t', '2', '--point', 'good', '--json')).json.totals.updated).toBe(100);
}, 90_000);

test('Ctrl-C during a backup, and going on where it was', async () => {
  const shop = await protectedShop();
  cleanups.push(() => shop.database.drop());
  const holder = await shop.database.client();
  await holder.query('begin; lock table "Shop"."Positionen" in access exclusive mode');
  let stop = (): void => {};
  const running = shop.runWith(
    {
      onStart: (child) => {
        stop = () => child.kill('SIGINT');
      },
    },
    'backup',
  );
  await blocked(shop.database.url);
  stop();
  await sleep(300);
  await holder.query('rollback');
  const ran = await running;
  expect(ran.code).toBe(130);
  expect(ran.stderr).toMatch(/HF_INTERRUPTED[\s\S]*run the same command again/);
  expect(await manifests(shop)).toEqual([]);
  expect(await shop.run('backup', '--no-prove', '--json')).toMatchObject({ code: 0, json: { type: 'full' } });
  expect(await manifests(shop)).toHaveLength(1);
}, 60_000);
