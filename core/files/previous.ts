/** What is known of files from earlier runs, so that what has not changed is not read again. */
import { type HoldfastError, IntegrityError } from '../errors.ts';
import type { Clock, KeyService, ObjectStore } from '../ports.ts';
import { covers, listFileManifests, readFileManifest } from './manifest.ts';
import { manifestFolder, noteFolder } from './names.ts';
import { type NotedPage, oldestOfUse, readNotes } from './notes.ts';
import { type PageKeys, readPage } from './page.ts';
import type { Share } from './shares.ts';
import type { FileEntry, FileManifest, FilePage, Part } from './types.ts';

/** A file is known by its path and its owner: content of another owner is sealed under another key. */
export const entryKey = (path: string, person: string | null): string => `${person ?? ''}\0${path}`;

export interface KnownFiles {
  readonly entries: ReadonlyMap<string, FileEntry>;
  /** The page that an entry stands in. */
  readonly pageOf: ReadonlyMap<FileEntry, FilePage>;
}

export interface Previous {
  /** Pages that cannot be read are passed over: their files are read again. */
  known(share: Share): Promise<KnownFiles>;
  /** Objects that were passed over because they are damaged, or sealed with keys that are gone. */
  readonly damaged: readonly { readonly object: string; readonly code: string }[];
}

/**
 * `scope`: null for a run over all tenants, else the tenant of the run.
 * @param wanted of the notes of unfinished runs, by name. @default all
 */
export async function openPrevious(
  ctx: { readonly store: ObjectStore; readonly keys: KeyService; readonly clock: Clock },
  reader: PageKeys,
  storeId: string,
  scope: string | null,
  wanted?: (names: readonly string[]) => Promise<readonly string[]>,
): Promise<Previous> {
  const damaged: { object: string; code: string }[] = [];
  const manifests = await usefulManifests(ctx, storeId, scope, damaged);
  const newest = manifests.find((m) => m.tenant === scope)?.id ?? '';
  const oldest = oldestOfUse(ctx.clock.now());
  const notes = await readNotes(ctx, noteFolder(scope), storeId, newest > oldest ? newest : oldest, wanted);

  async function read(tenant: string, page: FilePage): Promise<readonly FileEntry[]> {
    try {
      return (await readPage(reader, tenant, page)).entries;
    } catch (error) {
      const { code } = error as HoldfastError;
      // After the person keys were lost and made anew, what the old ones sealed has to be read and sealed again.
      const passed = error instanceof IntegrityError || code === 'HF_PERSON_KEY_UNKNOWN';
      if (!passed) throw error;
      damaged.push({ object: page.object, code });
      return [];
    }
  }

  return {
    damaged,
    async known({ tenant, set, part }) {
      const entries = new Map<string, FileEntry>();
      const pageOf = new Map<FileEntry, FilePage>();
      const manifest = manifests.find((m) => covers(m, tenant) && Object.hasOwn(m.sets, set));
      const pages = manifest && Object.hasOwn(manifest.tenants, tenant) ? manifest.tenants[tenant]! : [];
      for (const page of [...pages, ...own(notes, tenant)]) {
        if (page.set !== set || !mayHold(page.part, part)) continue;
        for (const entry of await read(tenant, page)) {
          entries.set(entryKey(entry.path, entry.person), entry);
          pageOf.set(entry, page);
        }
      }
      return { entries, pageOf };
    },
  };
}

const own = (notes: readonly NotedPage[], tenant: string): FilePage[] =>
  notes.filter((note) => note.tenant === tenant).map(({ page }) => page);

/** A page of another part of as many holds nothing of this one. */
const mayHold = (page: Part | undefined, part: Part | undefined): boolean =>
  !page || !part || page.of !== part.of || page.number === part.number;

/** Newest first: back to the newest that covers every tenant of the scope. */
async function usefulManifests(
  ctx: { readonly store: ObjectStore; readonly keys: KeyService },
  storeId: string,
  scope: string | null,
  damaged: { object: string; code: string }[],
): Promise<FileManifest[]> {
  const manifests: FileManifest[] = [];
  const refs = await listFileManifests(ctx.store, ...(scope === null ? [] : [scope]));
  for (const { name } of refs.reverse()) {
    try {
      manifests.push(await readFileManifest(ctx, name, storeId));
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      damaged.push({ object: name, code: error.code });
      continue;
    }
    if (scope !== null || name.startsWith(manifestFolder(null))) break;
  }
  return manifests;
}
