/** A lock between processes of one machine: a file that names its holder. A lock whose holder is dead is taken over. */
import { randomBytes } from 'node:crypto';
import { open, readFile, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { StoreError } from '../../core/errors.ts';

const POLL_MS = 5;

/**
 * Runs `work` while holding `path`.
 * @throws StoreError HF_LOCKED when another holder does not let go within `waitMs` (30,000)
 */
export async function withFileLock<T>(path: string, work: () => Promise<T>, waitMs = 30_000): Promise<T> {
  const mine = JSON.stringify({ pid: process.pid, host: hostname(), token: randomBytes(8).toString('hex') });
  const deadline = Date.now() + waitMs;
  while (!(await create(path, mine))) {
    if (await isOrphan(path)) await breakLock(path);
    else await setTimeout(POLL_MS * (1 + Math.random()));
    if (Date.now() > deadline) {
      throw new StoreError('HF_LOCKED', `Another process holds ${path}: ${await holder(path)}.`, {
        action: `Wait for it to end. If no Holdfast runs anywhere on this directory, remove ${path}.`,
        details: { lock: path },
      });
    }
  }
  try {
    return await work();
  } finally {
    await unlink(path);
  }
}

async function create(path: string, content: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600);
    await file.writeFile(content);
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

const holder = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');

/** Only a holder on this machine can be known to be dead; elsewhere, a person has to decide. */
async function isOrphan(path: string): Promise<boolean> {
  let held: { pid: number; host: string };
  try {
    held = JSON.parse(await holder(path));
  } catch {
    return false; // just being written, or just gone
  }
  if (held.host !== hostname()) return false;
  try {
    process.kill(held.pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** Under a second lock, because two that see the same orphan must not remove each other's new lock. */
async function breakLock(path: string): Promise<void> {
  const breaker = `${path}.break`;
  if (!(await create(breaker, ''))) {
    await setTimeout(POLL_MS);
    return;
  }
  try {
    if (await isOrphan(path)) await unlink(path);
  } finally {
    await unlink(breaker);
  }
}
