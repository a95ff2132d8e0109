/**
 * What an unfinished run has read, so that a killed run does not read it again: signed notes that name its finished pages. They are
 * knowledge only. The next run looks at every file anyway, and takes from them what has not changed since.
 */
import { IntegrityError, isCode } from '../errors.ts';
import { formatMoment, type Moment } from '../moment.ts';
import type { KeyService, ObjectStore, Signature } from '../ports.ts';
import { signedBytes } from '../snapshot/canonical.ts';
import { documentBytes, parseDocument } from '../snapshot/store.ts';
import { checkSignature } from './manifest.ts';
import { isPlan, noteFolder, noteName, runOf } from './names.ts';
import type { FilePage } from './types.ts';

export interface NotedPage {
  readonly tenant: string;
  readonly page: FilePage;
}

/** What is written down of an unfinished run. */
interface Noted {
  readonly run: string;
  readonly store: string;
}

export interface Note extends Noted {
  readonly pages: readonly NotedPage[];
}

/** What a killed run has read is kept for the next one so long, in microseconds. */
const GRACE = 48n * 3_600_000_000n;

/** Runs that began before the one that this would be are of no use: what they have read may be gone. */
export const oldestOfUse = (now: Moment): string => formatMoment(now - GRACE).replace(/[-:.]/g, '');

const FORMAT = 'holdfast-files-note';

type StoreAndKeys = { readonly store: ObjectStore; readonly keys: KeyService };

/** Writes a signed document of an unfinished run. @throws StoreError HF_OBJECT_EXISTS */
export async function writeNote<T extends Noted>(ctx: StoreAndKeys, name: string, about: T): Promise<void> {
  const note = { format: FORMAT, ...about };
  const signature = await ctx.keys.sign(signedBytes(note));
  await ctx.store.put(name, documentBytes({ ...note, signature }));
}

/** Reads one, held against its signature, its store and its run. @throws IntegrityError HF_OBJECT_MISSING and those of a damaged one */
export async function readNote<T extends Noted>(ctx: StoreAndKeys, name: string, storeId: string): Promise<T> {
  const note = parseDocument(await ctx.store.get(name), name) as T & { format: string; signature: Signature };
  await checkSignature(ctx.keys, note, name);
  if (note.format === FORMAT && note.store === storeId && note.run === runOf(name)) return note;
  throw new IntegrityError('HF_FOREIGN_OBJECT', `${name} is of another run or another store.`, {
    action: 'Remove this file: it is a note of an unfinished file backup, and not needed to restore.',
    details: { object: name, expected: { store: storeId }, got: { store: note.store, run: note.run } },
  });
}

interface NoteTakerOptions {
  readonly store: string;
  readonly run: string;
  readonly scope: string | null;
  /** What the notes are of; see `noteName`. @default '' */
  readonly of?: string;
  /** Bytes of contents after which a note is written. @default 256 MiB */
  readonly every?: number | undefined;
  /** Throws when what protects these pages from being swept was lost: they must not be relied on then. */
  readonly mustHold: () => Promise<void>;
}

const NOTE_BYTES = 256 << 20;
const NOTE_MS = 30_000;

/** Writes down now and then which pages are done. */
export class NoteTaker {
  readonly #ctx: StoreAndKeys;
  readonly #options: NoteTakerOptions;
  #pages: NotedPage[] = [];
  #bytes = 0;
  #last = performance.now();
  #number = 0;

  constructor(ctx: StoreAndKeys, options: NoteTakerOptions) {
    this.#ctx = ctx;
    this.#options = options;
  }

  /** `bytes`: read for this page. */
  async add(tenant: string, page: FilePage, bytes: number): Promise<void> {
    this.#pages.push({ tenant, page });
    this.#bytes += bytes;
    if (this.#bytes >= (this.#options.every ?? NOTE_BYTES) || performance.now() - this.#last >= NOTE_MS) {
      await this.flush();
    }
  }

  /** Writes down what was not yet. */
  async flush(): Promise<void> {
    const { store, run, scope, of, mustHold } = this.#options;
    const pages = this.#pages;
    if (pages.length === 0) return;
    this.#pages = [];
    this.#bytes = 0;
    this.#last = performance.now();
    await mustHold();
    await writeNote(this.#ctx, noteName(scope, run, ++this.#number, of), { run, store, pages });
  }
}

/**
 * Pages of unfinished runs in a folder of notes (`noteFolder`) that began after the run `after`, oldest first.
 * @param wanted of the notes, by name. @default all
 */
export async function readNotes(
  ctx: StoreAndKeys,
  folder: string,
  storeId: string,
  after: string,
  wanted: (names: readonly string[]) => Promise<readonly string[]> = async (names) => names,
): Promise<NotedPage[]> {
  const names: string[] = [];
  for await (const { name } of ctx.store.list(folder)) {
    if (runOf(name) > after && !isPlan(name)) names.push(name);
  }
  const found: NotedPage[] = [];
  for (const name of await wanted(names)) {
    try {
      found.push(...(await readNote<Note>(ctx, name, storeId)).pages);
    } catch (error) {
      // Damaged knowledge is no knowledge: these files are read again.
      if (!(error instanceof IntegrityError)) throw error;
    }
  }
  return found;
}

/** Forgets the notes of a scope once a later manifest stands. A role that may not delete leaves this to cleanup. */
export async function removeNotes(store: ObjectStore, scope: string | null, upTo: string): Promise<void> {
  const names: string[] = [];
  for await (const { name } of store.list(noteFolder(scope))) if (runOf(name) <= upTo) names.push(name);
  for (const name of names) {
    try {
      await store.delete(name);
    } catch (error) {
      if (isCode(error, 'HF_STORE_DENIED')) return;
      throw error;
    }
  }
}
