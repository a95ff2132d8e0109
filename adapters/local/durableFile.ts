/** Files that are whole and on the disk, or not there at all. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Names of unfinished files; a killed run leaves them, and nobody reads them. */
export const TEMPORARY = '.tmp-';

/**
 * Writes a new file through a temporary one in the same folder: data flushed, then linked to its name, which fails with
 * EEXIST when the name is taken, then the folder flushed.
 */
export async function writeNewFile(
  path: string,
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const folder = dirname(path);
  await makeFolder(folder);
  const temporary = join(folder, `${TEMPORARY}${randomBytes(8).toString('hex')}`);
  const file = await open(temporary, 'wx', 0o600);
  try {
    try {
      for await (const piece of body) await writeAll(file, piece);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, path);
  } finally {
    await unlink(temporary);
  }
  await syncFolder(folder);
}

/** Replaces a file as a whole: a reader, and whoever is killed here, finds the old one or the new one. */
export async function replaceFile(path: string, body: Uint8Array): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `${TEMPORARY}${randomBytes(8).toString('hex')}`);
  try {
    await writeNewFile(temporary, [body]);
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {}); // the error to report is the first one
    throw error;
  }
  await syncFolder(folder);
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
}

/**
 * Makes a folder (0700) with its parents, each durable before something is put into it. One at a time, because Node's own
 * recursive mkdir never ends where the file system answers "no such entry" for a parent that is there, as procfs does.
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await isFolder(folder))) return;
    if (code !== 'ENOENT') throw error;
    // A parent that is there now was made by another writer since; if it was there before, this fails once more.
    if (!(await isFolder(dirname(folder)))) await makeFolder(dirname(folder));
    await mkdir(folder, { mode: 0o700 }).catch(async (again: NodeJS.ErrnoException) => {
      if (again.code !== 'EEXIST' || !(await isFolder(folder))) throw again; // another writer may have made it meanwhile
    });
  }
  await syncFolder(dirname(folder));
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

export async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open a folder; its file systems flush names themselves.
  if (process.platform === 'win32') return;
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export const isTemporary = (path: string): boolean => basename(path).startsWith(TEMPORARY);
