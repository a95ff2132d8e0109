import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from '@jest/globals';
import { EmbeddedServer } from '../../adapters/local/embedded.ts';
import { connect } from '../../core/sql.ts';

const directories: string[] = [];
async function directory(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'holdfast-embedded-'));
  directories.push(made);
  return made;
}
afterAll(async () => {
  for (const each of directories) await rm(each, { recursive: true, force: true });
});

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const serverPid = async (folder: string): Promise<number> =>
  Number((await readFile(join(folder, 'data', 'postmaster.pid'), 'utf8')).split('\n')[0]);

async function gone(pid: number): Promise<boolean> {
  for (let i = 0; i < 100 && alive(pid); i++) await sleep(50);
  return !alive(pid);
}

function occupy(port: number): Promise<Server> {
  return new Promise((done) => {
    const server = createServer();
    server.listen(port, '127.0.0.1', () => done(server));
  });
}

test('keeps its data, log-in and port from one start to the next, even when killed', async () => {
  const folder = await directory();
  const first = await EmbeddedServer.start({ directory: folder });
  const client = await connect(first.url());
  await client.query('create table public.t (x int); insert into public.t values (1)');
  const { rows } = await client.query("select current_setting('track_commit_timestamp') as track, version()");
  expect(rows[0].track).toBe('on');
  expect(rows[0].version).toMatch(/^PostgreSQL 18/);
  const pid = await serverPid(folder);
  await first.kill9();
  expect(alive(pid)).toBe(false);
  await client.end().catch(() => {});

  const second = await EmbeddedServer.start({ directory: folder });
  expect(second.url()).toBe(first.url());
  const again = await connect(second.url());
  expect((await again.query('select x from public.t')).rows).toEqual([{ x: 1 }]);
  await again.end();
  const secondPid = await serverPid(folder);
  await second.stop();
  await second.stop();
  expect(alive(secondPid)).toBe(false);
});

test('a pid file whose number is another process by now is in nobody’s way', async () => {
  const folder = await directory();
  const first = await EmbeddedServer.start({ directory: folder });
  const pidFile = join(folder, 'data', 'postmaster.pid');
  const text = await readFile(pidFile, 'utf8');
  await first.kill9();
  await writeFile(pidFile, text.replace(/^\d+/, String(process.pid)));
  const second = await EmbeddedServer.start({ directory: folder });
  await second.stop();
});

test('a taken port is replaced by another, unless it was asked for', async () => {
  const folder = await directory();
  const first = await EmbeddedServer.start({ directory: folder });
  await first.stop();
  const other = await occupy(first.port);
  const second = await EmbeddedServer.start({ directory: folder });
  expect(second.port).not.toBe(first.port);
  const client = await connect(second.url());
  await client.end();
  await second.stop();
  await expect(EmbeddedServer.start({ directory: folder, port: first.port })).rejects.toMatchObject({
    code: 'HF_EMBEDDED_START',
    message: expect.stringContaining('Address already in use'),
  });
  await new Promise((done) => other.close(done));
});

test('a second server on the same folder is refused by name', async () => {
  const folder = await directory();
  const first = await EmbeddedServer.start({ directory: folder });
  await expect(EmbeddedServer.start({ directory: folder })).rejects.toMatchObject({
    code: 'HF_EMBEDDED_RUNNING',
    details: { port: first.port },
  });
  await first.stop();
});

test('a server that cannot start says why', async () => {
  const folder = await directory();
  await expect(EmbeddedServer.start({ directory: folder, settings: { shared_buffers: 'lots' } })).rejects.toMatchObject(
    {
      code: 'HF_EMBEDDED_START',
      message: expect.stringContaining('invalid value for parameter "shared_buffers"'),
    },
  );
  await expect(EmbeddedServer.start({ directory: folder, binDirectory: '/nowhere' })).rejects.toMatchObject({
    code: 'HF_EMBEDDED_START',
  });
});

const SCRIPT = `
  import { EmbeddedServer } from ${JSON.stringify(new URL('../../adapters/local/embedded.ts', import.meta.url).href)};
  const server = await EmbeddedServer.start({ directory: process.argv[1] });
  process.stdout.write('ready');
  if (process.argv[2] === 'stay') setInterval(() => {}, 1000);
`;

async function inChild(folder: string, options: { stay: boolean; uid?: number }) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT, folder, options.stay ? 'stay' : 'go'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid, cwd: folder }),
  });
  const exited = new Promise((done) => child.once('exit', done));
  await new Promise<void>((done) => child.stdout.on('data', (data) => String(data).includes('ready') && done()));
  return { child, exited, pid: await serverPid(folder) };
}

test.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)('the server stops when its parent gets %s', async (signal) => {
  const folder = await directory();
  const { child, exited, pid } = await inChild(folder, { stay: true });
  expect(alive(pid)).toBe(true);
  child.kill(signal);
  await exited;
  expect(await gone(pid)).toBe(true);
});

test('a program that forgets to stop it ends by itself, and the server with it', async () => {
  const folder = await directory();
  const { exited, pid } = await inChild(folder, { stay: false });
  expect(await exited).toBe(0);
  expect(await gone(pid)).toBe(true);
});

const asRoot = process.getuid?.() === 0 ? test : test.skip;
asRoot('runs for an ordinary user too', async () => {
  const folder = await directory();
  const nobody = 65534;
  await chmod(folder, 0o777);
  const { child, exited, pid } = await inChild(folder, { stay: true, uid: nobody });
  expect(await readFile(`/proc/${pid}/status`, 'utf8')).toContain(`Uid:\t${nobody}`);
  child.kill('SIGTERM');
  await exited;
  expect(await gone(pid)).toBe(true);
});
