/** An object store in a directory: one file per object, written once, never overwritten. */
import { type FileHandle, open, readdir, stat, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { IntegrityError, StoreError } from '../../core/errors.ts';
import type { ObjectStore } from '../../core/ports.ts';
import { isTemporary, TEMPORARY, writeNewFile } from './durableFile.ts';
import { fileError, objectExists } from './fileError.ts';

export class DirectoryStore implements ObjectStore {
  readonly description: string;
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
    this.description = `directory ${directory}`;
  }

  /** The directory is made by the first write. */
  static open(directory: string): DirectoryStore {
    return new DirectoryStore(resolve(directory));
  }

  put(name: string, body: Uint8Array): Promise<void> {
    return this.#write(name, [body]);
  }

  putStream(name: string, body: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#write(name, body);
  }

  async get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    const file = await this.#open(name);
    try {
      const { size } = await file.stat();
      const { offset, length } = range ?? { offset: 0, length: size };
      const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - offset)));
      let at = 0;
      while (at < bytes.length) {
        const { bytesRead } = await file.read(bytes, at, bytes.length - at, offset + at);
        if (bytesRead === 0) break; // it shrank while it was read
        at += bytesRead;
      }
      if (at < length) throw truncated(this.description, name, { offset, length }, size);
      return bytes;
    } catch (error) {
      throw fileError(error, this.description, name);
    } finally {
      await file.close();
    }
  }

  async head(name: string): Promise<{ size: number } | undefined> {
    try {
      const found = await stat(this.#path(name));
      return found.isFile() ? { size: found.size } : undefined;
    } catch (error) {
      if (isCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw fileError(error, this.description, name);
    }
  }

  async *list(prefix: string): AsyncGenerator<{ name: string; size: number }> {
    yield* this.#walk(prefix.slice(0, prefix.lastIndexOf('/') + 1), prefix);
  }

  async delete(name: string): Promise<void> {
    try {
      await unlink(this.#path(name));
    } catch (error) {
      if (!isCode(error, 'ENOENT', 'ENOTDIR')) throw fileError(error, this.description, name);
    }
  }

  /**
   * Removes unfinished files that killed runs left. Younger ones may belong to a run that is still going.
   * @returns how many were removed
   */
  async sweep(options: { olderThanHours?: number } = {}): Promise<number> {
    const before = Date.now() - (options.olderThanHours ?? 24) * 3_600_000;
    let removed = 0;
    const sweep = async (folder: string): Promise<void> => {
      for (const entry of await this.#entries(folder)) {
        const path = join(this.directory, folder, entry.name);
        if (entry.isDirectory()) await sweep(`${folder}${entry.name}/`);
        else if (isTemporary(path) && (await stat(path)).mtimeMs < before) {
          await unlink(path);
          removed++;
        }
      }
    };
    await sweep('');
    return removed;
  }

  async *#walk(folder: string, prefix: string): AsyncGenerator<{ name: string; size: number }> {
    const named = (await this.#entries(folder)).map((entry) => {
      return { entry, name: `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}` };
    });
    // With the slash in the name, a folder sorts where its files do in an object store.
    for (const { entry, name } of named.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.isDirectory()) {
        if (name.startsWith(prefix) || prefix.startsWith(name)) yield* this.#walk(name, prefix);
      } else if (name.startsWith(prefix) && entry.isFile() && !entry.name.startsWith(TEMPORARY)) {
        const found = await this.head(name);
        if (found) yield { name, size: found.size };
      }
    }
  }

  async #entries(folder: string) {
    try {
      return await readdir(join(this.directory, folder), { withFileTypes: true });
    } catch (error) {
      if (isCode(error, 'ENOENT', 'ENOTDIR')) return [];
      throw fileError(error, this.description, folder);
    }
  }

  async #write(name: string, body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const path = this.#path(name);
    // Asked before the bytes are written, so that a name that is taken costs nothing; link() decides in the end.
    if (await this.head(name)) throw objectExists(this.description, name);
    try {
      await writeNewFile(path, body);
    } catch (error) {
      throw fileError(error, this.description, name);
    }
  }

  async #open(name: string): Promise<FileHandle> {
    try {
      return await open(this.#path(name), 'r');
    } catch (error) {
      throw fileError(error, this.description, name);
    }
  }

  #path(name: string): string {
    const sound = name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
    if (!sound || /[\\\0]/.test(name) || isTemporary(name)) {
      throw new StoreError('HF_OBJECT_NAME', `${JSON.stringify(name)} cannot be the name of an object.`, {
        action: 'Use parts separated by "/" that are not empty, ".", or "..".',
      });
    }
    return join(this.directory, name);
  }
}

const isCode = (error: unknown, ...codes: string[]): boolean => codes.includes((error as NodeJS.ErrnoException).code!);

function truncated(
  description: string,
  name: string,
  range: { offset: number; length: number },
  size: number,
): IntegrityError {
  const message = `${name} in ${description} ends at ${size}, but bytes ${range.offset} to ${range.offset + range.length} are needed.`;
  return new IntegrityError('HF_OBJECT_TRUNCATED', message, {
    action: 'Bring it back from another copy of the store, or use another backup.',
    details: { object: name, size, ...range },
  });
}
