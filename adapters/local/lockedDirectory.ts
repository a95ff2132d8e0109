/**
 * A directory whose files are locked as far as this machine can: immutable (chattr +i) where the process is root and the file
 * system has that flag, else read-only. Neither is a compliance lock: the root of this machine can take the flag off, and the
 * owner of a directory can remove a read-only file. It stops slips, and programs that run as somebody else.
 */
import { execFile } from 'node:child_process';
import { chmod, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { LockingStore, ObjectLock } from '../../core/ports.ts';
import { DirectoryStore } from './directoryStore.ts';
import { fileError } from './fileError.ts';

const run = promisify(execFile);

export class LockedDirectory implements LockingStore {
  readonly description: string;
  readonly directory: string;
  readonly #store: DirectoryStore;

  private constructor(store: DirectoryStore) {
    this.#store = store;
    this.description = store.description;
    this.directory = store.directory;
  }

  static open(directory: string): LockedDirectory {
    return new LockedDirectory(DirectoryStore.open(directory));
  }

  async put(name: string, body: Uint8Array): Promise<void> {
    await this.#store.put(name, body);
    await this.lock(name);
  }

  async putStream(name: string, body: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#store.putStream(name, body);
    await this.lock(name);
  }

  async lock(name: string): Promise<void> {
    const path = join(this.directory, name);
    try {
      const { mode } = await stat(path);
      if ((mode & 0o222) !== 0) await chmod(path, 0o400);
    } catch (error) {
      // An immutable file refuses even this, and needs no more.
      if ((await this.#isImmutable(path)) === true) return;
      throw fileError(error, this.description, name);
    }
    // Not root, no such flag on this file system, no such program: then read-only is all there is, and `lockOf` says so.
    await run('chattr', ['+i', path]).catch(() => {});
  }

  async lockOf(name: string): Promise<ObjectLock | undefined> {
    const path = join(this.directory, name);
    if (await this.#isImmutable(path)) return { mode: 'immutable' };
    const found = await stat(path).catch((error) => {
      throw fileError(error, this.description, name);
    });
    return (found.mode & 0o222) === 0 ? { mode: 'read-only' } : undefined;
  }

  get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    return this.#store.get(name, range);
  }

  head(name: string): Promise<{ size: number } | undefined> {
    return this.#store.head(name);
  }

  list(prefix: string): AsyncIterable<{ name: string; size: number }> {
    return this.#store.list(prefix);
  }

  delete(name: string): Promise<void> {
    return this.#store.delete(name);
  }

  /** As lsattr prints it: `----i---------e------- /path`. */
  async #isImmutable(path: string): Promise<boolean> {
    const { stdout } = await run('lsattr', ['-d', path]).catch(() => ({ stdout: '' }));
    return stdout.split(' ')[0]!.includes('i');
  }
}
