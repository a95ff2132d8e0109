/** A server process: when it is ready, that it ends with its parent, how it dies. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseError } from '../../core/errors.ts';

const pidFile = (dataDirectory: string): string => join(dataDirectory, 'postmaster.pid');

/** Waits until the server takes connections; otherwise says in a few words what became of it. */
export async function readiness(
  child: ChildProcess,
  dataDirectory: string,
  seconds: number,
): Promise<string | undefined> {
  let failure: string | undefined;
  child.once('error', (error) => {
    failure = error.message;
  });
  const until = Date.now() + seconds * 1000;
  while (Date.now() < until) {
    if (failure !== undefined) return failure;
    if (child.exitCode !== null || child.signalCode !== null)
      return `It ended with ${child.exitCode ?? child.signalCode}`;
    // Line 1 is the process id, line 8 the state: what pg_ctl waits for too.
    const lines = (await readFile(pidFile(dataDirectory), 'utf8').catch(() => '')).split('\n');
    if (Number(lines[0]) === child.pid && lines[7]?.startsWith('ready')) return undefined;
    await sleep(10);
  }
  child.kill('SIGKILL');
  return `It was not ready after ${seconds} s`;
}

/**
 * A server that was killed leaves its pid file. PostgreSQL removes it if that process is gone, but in a container the
 * same number is soon another process's.
 * @throws DatabaseError HF_EMBEDDED_RUNNING when a server really runs there
 */
export async function clearStalePid(dataDirectory: string): Promise<void> {
  const file = pidFile(dataDirectory);
  // A server whose parent just ended needs a moment to stop.
  for (let attempt = 0; existsSync(file); attempt++) {
    const [pid, , , port] = (await readFile(file, 'utf8').catch(() => '')).split('\n');
    if (!(await isServer(Number(pid)))) {
      await rm(file, { force: true });
      return;
    }
    if (attempt === 30) {
      throw new DatabaseError(
        'HF_EMBEDDED_RUNNING',
        `A server already runs on ${dataDirectory} (process ${pid}, port ${port}).`,
        {
          action: 'Stop the other program that uses this folder, or choose another folder.',
          details: { dataDirectory, pid: Number(pid), port: Number(port) },
        },
      );
    }
    await sleep(100);
  }
}

async function isServer(pid: number): Promise<boolean> {
  if (!(pid > 1)) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as { code?: string }).code !== 'EPERM') return false;
  }
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => undefined);
  // Where there is no /proc, leave the judgement to PostgreSQL.
  return name === undefined ? existsSync('/proc/self') === false : name.startsWith('postgres');
}

/**
 * Stops the server when this process ends, be it by kill -9: a shell waits at the other end of a pipe and signals the
 * server when the pipe breaks.
 */
export function stopWithParent(child: ChildProcess): void {
  child.unref();
  if (process.platform === 'win32') {
    process.once('exit', () => child.kill());
    return;
  }
  const watcher = spawn('sh', ['-c', 'read -r _; kill -INT "$1"', 'sh', String(child.pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watcher.on('error', () => process.once('exit', () => child.kill('SIGINT'))); // no shell: at least on an orderly end
  watcher.unref();
  (watcher.stdin as unknown as { unref(): void }).unref();
  // Once the server is gone its number may become another process's.
  child.once('exit', () => watcher.kill('SIGKILL'));
}

/** SIGKILL to the server and its children at once, so that none of them tidies up after the others. */
export async function killHard(pid: number): Promise<void> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  for (const each of [pid, ...children.split(' ').filter(Boolean).map(Number)]) {
    try {
      process.kill(each, 'SIGKILL');
    } catch (error) {
      if ((error as { code?: string }).code !== 'ESRCH') throw error;
    }
  }
}
