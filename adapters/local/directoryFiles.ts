/** Users' files in a directory. Symbolic links are not followed: they could lead out of it. */
import { createHash, randomBytes } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { chmod, type FileHandle, link, lstat, open, readdir, rename, unlink, utimes } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { HoldfastError, StoreError } from '../../core/errors.ts';
import { type FileSource, KEPT, keptPath, type OpenFile, type SourceFile } from '../../core/files/source.ts';
import { changed, gone, unreadable } from '../../core/files/take.ts';
import { isTemporary, makeFolder, syncFolder, TEMPORARY } from './durableFile.ts';

const PIECE = 1 << 20;
/** File systems take a file's times from a clock that ticks a few times in 10 ms. */
const TICK_MICROS = 10_000n;

export interface DirectoryFilesOptions {
  /**
   * A file that was changed less than this before it was looked at may change again without its times showing it, on file
   * systems that keep whole seconds: it is read again next time. @default 2000
   */
  readonly settleMs?: number;
}

export class DirectoryFiles implements FileSource {
  readonly description: string;
  readonly #root: string;
  readonly #settleMs: number;

  private constructor(root: string, { settleMs = 2000 }: DirectoryFilesOptions) {
    this.#root = root;
    this.#settleMs = settleMs;
    this.description = `directory ${root}`;
  }

  /** Need not be there yet: a restore makes it. */
  static open(directory: string, options: DirectoryFilesOptions = {}): DirectoryFiles {
    return new DirectoryFiles(resolve(directory), options);
  }

  problem(path: string): string | undefined {
    const parts = path.split('/');
    if (parts.some((part) => part === '' || part === '.' || part === '..')) return 'it leads out of the directory';
    if (/[\\\0]/.test(path)) return 'it has a character that file names cannot have everywhere';
    if (parts.some((part) => Buffer.byteLength(part) > 255) || Buffer.byteLength(path) > 3500) return 'it is too long';
    if (parts.some(isTemporary)) return `names that begin with ${TEMPORARY} are unfinished files`;
    return path.startsWith(KEPT) ? `${KEPT} is where restores keep what they replace` : undefined;
  }

  async *list(): AsyncGenerator<SourceFile> {
    const root = await this.#sourceError(() => lstat(this.#root));
    if (!root.isDirectory()) throw this.#unusable(new Error('it is not a directory'));
    yield* this.#walk('');
  }

  async *#walk(folder: string): AsyncGenerator<SourceFile> {
    const entries = await this.#sourceError(() => readdir(join(this.#root, folder), { withFileTypes: true }));
    for (const entry of entries) {
      const path = `${folder}${entry.name}`;
      if (entry.isDirectory() && `${path}/` !== KEPT) yield* this.#walk(`${path}/`);
      else if (entry.isFile() && !isTemporary(path)) {
        const file = await this.stat(path);
        if (file) yield file;
      }
    }
  }

  async stat(path: string): Promise<SourceFile | undefined> {
    if (this.problem(path) !== undefined) return undefined;
    try {
      await this.#mustStayInside(path);
      const found = await lstat(join(this.#root, path), { bigint: true });
      return found.isFile() ? this.#describe(path, found) : undefined;
    } catch (error) {
      if (isCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw error instanceof HoldfastError ? error : unreadable(path, this, error);
    }
  }

  async read(path: string, options: { token?: string } = {}): Promise<OpenFile> {
    const handle = await this.#open(path);
    try {
      const before = await handle.stat({ bigint: true });
      if (!before.isFile()) throw gone(path, this);
      if (options.token !== undefined && tokenOf(before) !== options.token) throw changed(path, this);
      const about = {
        mode: (Number(before.mode) & 0o777).toString(8),
        modified: new Date(Number(before.mtimeMs)).toISOString(),
      };
      return { file: this.#describe(path, before), about, body: this.#body(handle, path, before) };
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async write(
    path: string,
    body: AsyncIterable<Uint8Array>,
    { about, over, stamp }: Parameters<FileSource['write']>[2],
  ): Promise<{ kept?: string }> {
    const problem = this.problem(path);
    if (problem) throw unreadable(path, this, new Error(problem));
    await this.#mustStayInside(path);
    const target = join(this.#root, path);
    const temporary = join(dirname(target), `${TEMPORARY}${randomBytes(8).toString('hex')}`);
    try {
      await makeFolder(dirname(target));
      await this.#fill(temporary, body, about);
      try {
        return await this.#place(temporary, path, over, stamp);
      } finally {
        await unlink(temporary).catch(() => {}); // renamed already where it replaced a file
        await syncFolder(dirname(target));
      }
    } catch (error) {
      if (isCode(error, 'EEXIST')) throw this.#conflict(path, error);
      // What the body threw is its own.
      throw (error as NodeJS.ErrnoException).syscall ? unreadable(path, this, error) : error;
    }
  }

  /** A directory keeps no versions. */
  async history(): Promise<undefined> {
    return undefined;
  }

  async #fill(temporary: string, body: AsyncIterable<Uint8Array>, about: Readonly<Record<string, string>>) {
    const file = await open(temporary, 'wx', 0o600);
    try {
      for await (const piece of body) {
        for (let at = 0; at < piece.length; ) at += (await file.write(piece, at)).bytesWritten;
      }
      await file.sync();
    } catch (error) {
      await unlink(temporary);
      throw error;
    } finally {
      await file.close();
    }
    if (/^[0-7]{1,3}$/.test(about.mode ?? '')) await chmod(temporary, Number.parseInt(about.mode!, 8));
    const modified = Date.parse(about.modified ?? '');
    if (!Number.isNaN(modified)) await utimes(temporary, modified / 1000, modified / 1000);
  }

  async #place(temporary: string, path: string, over: SourceFile | undefined, stamp: string) {
    const target = join(this.#root, path);
    if (!over) {
      await link(temporary, target);
      return {};
    }
    const now = await lstat(target, { bigint: true });
    if (!now.isFile() || tokenOf(now) !== over.token) throw this.#conflict(path);
    const kept = keptPath(path, stamp, (text) => createHash('sha256').update(text).digest('hex'));
    await makeFolder(dirname(join(this.#root, kept)));
    await link(target, join(this.#root, kept));
    await syncFolder(dirname(join(this.#root, kept)));
    await rename(temporary, target);
    return { kept };
  }

  async *#body(handle: FileHandle, path: string, before: BigIntStats): AsyncGenerator<Buffer> {
    try {
      const size = Number(before.size);
      // One more byte than there should be: an end that came later shows as well.
      for (let at = 0; ; ) {
        const room = Math.min(PIECE, Math.max(1, size + 1 - at));
        const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(room), 0, room, null);
        if (bytesRead === 0) break;
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
        if (at === size) break;
      }
      // Written in place, or replaced by another file of this name: both show.
      const after = await handle.stat({ bigint: true });
      if (tokenOf(after) !== tokenOf(before)) throw changed(path, this);
    } catch (error) {
      throw error instanceof HoldfastError ? error : unreadable(path, this, error);
    } finally {
      await handle.close();
    }
  }

  async #open(path: string): Promise<FileHandle> {
    const problem = this.problem(path);
    if (problem) throw unreadable(path, this, new Error(problem));
    try {
      await this.#mustStayInside(path);
      return await open(join(this.#root, path), constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (error) {
      if (isCode(error, 'ENOENT', 'ENOTDIR')) throw gone(path, this, error);
      throw error instanceof HoldfastError ? error : unreadable(path, this, error);
    }
  }

  /** No folder on the way to it is a link: whoever may upload must not choose where a restore writes. */
  async #mustStayInside(path: string): Promise<void> {
    const parts = path.split('/').slice(0, -1);
    for (let i = 1; i <= parts.length; i++) {
      const folder = join(this.#root, ...parts.slice(0, i));
      const found = await lstat(folder).catch((error) => {
        if (isCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
        throw error;
      });
      if (!found) return;
      if (found.isSymbolicLink()) throw unreadable(path, this, new Error(`${folder} is a symbolic link`));
    }
  }

  #describe(path: string, found: BigIntStats): SourceFile {
    const since = found.ctimeNs / 1000n + TICK_MICROS;
    const age = Date.now() - Number(found.ctimeMs);
    return { path, size: Number(found.size), token: tokenOf(found), settled: age >= this.#settleMs, since };
  }

  #conflict(path: string, cause?: unknown): StoreError {
    return new StoreError('HF_FILE_CONFLICT', `${JSON.stringify(path)} in ${this.description} is not what it was.`, {
      cause,
      action: 'Somebody wrote to it meanwhile: look at the preview again.',
      details: { path },
    });
  }

  async #sourceError<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#unusable(error);
    }
  }

  #unusable(cause: unknown): StoreError {
    return new StoreError('HF_FILES_SOURCE', `${this.description} cannot be read: ${(cause as Error).message}.`, {
      cause,
      action:
        'Check "from:" under files: in holdfast.yaml, that the directory is there, and that this user may read it.',
    });
  }
}

/** The change time moves with every write and cannot be set back. */
const tokenOf = (found: BigIntStats): string => `${found.size}-${found.mtimeNs}-${found.ctimeNs}`;

const isCode = (error: unknown, ...codes: string[]): boolean => codes.includes((error as NodeJS.ErrnoException).code!);
