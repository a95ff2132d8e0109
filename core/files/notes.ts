/**
 * What an unfinished run has read, so that a killed run does not read it again: signed notes that name its finished pages. They are
 * knowledge only. The next run looks at every file anyway, and takes from them what has not changed since.
 */
import { HoldfastError, IntegrityError } from '../errors.ts';
import type { KeyService, ObjectStore, Signature } from '../ports.ts';
import { signedBytes } from '../snapshot/canonical.ts';
import { documentBytes, parseDocument } from '../snapshot/store.ts';
import { checkSignature } from './manifest.ts';
import { noteFolder, noteName } from './names.ts';
import type { FilePage } from './types.ts';

interface Note {
  readonly format: 'holdfast-files-note';
  readonly run: string;
  readonly store: string;
  readonly pages: readonly { readonly tenant: string; readonly page: FilePage }[];
}

type StoreAndKeys = { readonly store: ObjectStore; readonly keys: KeyService };

export async function writeNote(
  ctx: StoreAndKeys,
  scope: string | null,
  number: number,
  about: Pick<Note, 'run' | 'store' | 'pages'>,
): Promise<void> {
  const note = { format: 'holdfast-files-note' as const, ...about };
  const signature = await ctx.keys.sign(signedBytes(note));
  await ctx.store.put(noteName(scope, about.run, number), documentBytes({ ...note, signature }));
}

/** Pages of unfinished runs in a folder of notes (`noteFolder`) that began after the run `after`, oldest first. */
export async function readNotes(
  ctx: StoreAndKeys,
  folder: string,
  storeId: string,
  after: string,
): Promise<Note['pages'][number][]> {
  const names: string[] = [];
  for await (const { name } of ctx.store.list(folder)) {
    if (runOfNote(name) > after) names.push(name);
  }
  const found: Note['pages'][number][] = [];
  for (const name of names) {
    try {
      const note = parseDocument(await ctx.store.get(name), name) as Note & { signature: Signature };
      await checkSignature(ctx.keys, note, name);
      if (note.store === storeId && note.run === runOfNote(name)) found.push(...note.pages);
    } catch (error) {
      // Damaged knowledge is no knowledge: these files are read again.
      if (!(error instanceof IntegrityError)) throw error;
    }
  }
  return found;
}

export const runOfNote = (name: string): string => name.split('/').at(-2)!;

/** Forgets the notes of a scope once a later manifest stands. A role that may not delete leaves this to cleanup. */
export async function removeNotes(store: ObjectStore, scope: string | null, upTo: string): Promise<void> {
  const names: string[] = [];
  for await (const { name } of store.list(noteFolder(scope))) if (runOfNote(name) <= upTo) names.push(name);
  for (const name of names) {
    try {
      await store.delete(name);
    } catch (error) {
      if (error instanceof HoldfastError && error.code === 'HF_STORE_DENIED') return;
      throw error;
    }
  }
}
