/** Brings the content of one file into the store, unless it is there already. */
import { createHash } from 'node:crypto';
import { HoldfastError, isCode, StoreError } from '../errors.ts';
import { formatMoment } from '../moment.ts';
import type { Clock, ObjectStore } from '../ports.ts';
import { addressOf, type Owner, sealContent } from './content.ts';
import type { FileSource, OpenFile, SourceFile } from './source.ts';
import type { FileEntry } from './types.ts';

/**
 * Up to this size a file is read once, into memory. A larger one is read twice: its name in the store is known only when its
 * content is, and neither memory nor a disk should have to hold it.
 */
const IN_MEMORY = 8 << 20;
const TRIES = 3;

/** Memory that taking a file of a size needs: the content and what it is sealed to, or a few parts of an upload. */
export const memoryFor = (size: number): number => 3 * Math.min(size, IN_MEMORY) + (64 << 10);

export interface Taken {
  readonly entry: FileEntry;
  /** Bytes written to the store; 0 when the content was there. */
  readonly storedBytes: number;
}

/**
 * @throws StoreError HF_FILE_GONE, HF_FILE_UNREADABLE, HF_FILE_CHANGED when it changed on every try; errors of the store
 */
export async function takeFile(
  store: ObjectStore,
  source: FileSource,
  listed: SourceFile,
  about: { readonly set: string; readonly owner: Owner; readonly tenantKey: string | null; readonly clock: Clock },
): Promise<Taken> {
  let file = listed;
  for (let tried = 1; ; tried++) {
    try {
      return await take(store, source, file, about);
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== 'HF_FILE_CHANGED' || tried === TRIES) throw error;
      const again = await source.stat(file.path);
      if (!again) throw gone(file.path, source);
      file = again;
    }
  }
}

async function take(
  store: ObjectStore,
  source: FileSource,
  file: SourceFile,
  { set, owner, tenantKey, clock }: Parameters<typeof takeFile>[3],
): Promise<Taken> {
  const opened = await open(source, file);
  const hash = createHash('sha256');
  const small: Uint8Array[] = [];
  let size = 0;
  for await (const piece of opened.body) {
    hash.update(piece);
    size += piece.length;
    if (size <= IN_MEMORY) small.push(Buffer.from(piece));
    else small.length = 0;
  }
  const digest = hash.digest();
  const object = addressOf(owner, digest);
  let stored = (await store.head(object))?.size;
  let storedBytes = 0;
  if (stored === undefined) {
    const write =
      size <= IN_MEMORY
        ? putWhole(store, object, sealContent(owner, object, small))
        : putStream(
            store,
            object,
            sealContent(owner, object, sameAgain(await open(source, opened.file), digest, source)),
          );
    ({ stored, storedBytes } = await unlessThere(store, object, write));
  }
  const now = clock.now();
  // A source that cannot say how old a content is has it at least now.
  const since = opened.file.since ?? now;
  const entry: FileEntry = {
    set,
    content: object,
    stored,
    person: owner.person,
    tenantKey,
    path: file.path,
    size,
    sha256: digest.toString('hex'),
    token: opened.file.settled ? opened.file.token : '',
    since: formatMoment(since < now ? since : now),
    state: 'present',
    about: opened.about,
  };
  return { entry, storedBytes };
}

const open = (source: FileSource, { path, token }: SourceFile): Promise<OpenFile> => source.read(path, { token });

/** @returns bytes written */
async function putWhole(store: ObjectStore, object: string, body: AsyncIterable<Uint8Array>): Promise<number> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  const bytes = Buffer.concat(pieces);
  await store.put(object, bytes);
  return bytes.length;
}

async function putStream(store: ObjectStore, object: string, body: AsyncIterable<Uint8Array>): Promise<number> {
  let written = 0;
  const counted = async function* () {
    for await (const piece of body) {
      written += piece.length;
      yield piece;
    }
  };
  await store.putStream(object, counted());
  return written;
}

/** 0 bytes were written when the same content of another file was stored at the same time. */
async function unlessThere(
  store: ObjectStore,
  object: string,
  write: Promise<number>,
): Promise<{ stored: number; storedBytes: number }> {
  try {
    const storedBytes = await write;
    return { stored: storedBytes, storedBytes };
  } catch (error) {
    const taken = isCode(error, 'HF_OBJECT_EXISTS');
    // S3 also says so where two writers met, and then neither may have won.
    const there = taken ? await store.head(object) : undefined;
    if (!there) throw error;
    return { stored: there.size, storedBytes: 0 };
  }
}

/** The second reading, which must be of the same content: an object may not hold what its name does not say. */
async function* sameAgain(opened: OpenFile, expected: Buffer, source: FileSource): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let waiting: Uint8Array | undefined;
  for await (const piece of opened.body) {
    hash.update(piece);
    if (waiting) yield waiting;
    waiting = piece;
  }
  if (!hash.digest().equals(expected)) throw changed(opened.file.path, source);
  if (waiting) yield waiting;
}

export const gone = (path: string, source: Pick<FileSource, 'description'>, cause?: unknown): StoreError =>
  new StoreError('HF_FILE_GONE', `There is no file ${JSON.stringify(path)} in ${source.description} any more.`, {
    cause,
    action: 'If it should be there, bring it back with "holdfast files restore".',
    details: { path },
  });

export const changed = (path: string, source: Pick<FileSource, 'description'>, cause?: unknown): StoreError =>
  new StoreError('HF_FILE_CHANGED', `${JSON.stringify(path)} in ${source.description} changed while it was read.`, {
    cause,
    action: 'Run the backup again when nobody writes to it.',
    details: { path },
  });

export const unreadable = (path: string, source: Pick<FileSource, 'description'>, cause: unknown): StoreError =>
  new StoreError(
    'HF_FILE_UNREADABLE',
    `${JSON.stringify(path)} in ${source.description} cannot be used: ${(cause as Error).message}.`,
    {
      cause,
      action: 'Check the rights on this file, and that its storage is healthy.',
      details: { path },
    },
  );
