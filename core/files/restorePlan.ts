/** What a restore of files would do, file by file, before it does anything. */
import { createHash } from 'node:crypto';
import { HoldfastError } from '../errors.ts';
import type { ObjectStore } from '../ports.ts';
import { inParallel } from '../restore/inParallel.ts';
import type { FileSource, SourceFile } from './source.ts';
import type { FileAt } from './stateAt.ts';

/** Files looked at once. */
const AT_ONCE = 8;

/**
 * create: nothing is there. same: what is there is that content. replace: another content is there. contested: rows of another
 * tenant name that file as well. unusable: the path cannot be a file there. lost: the content is not in the store.
 */
export type FileAction = 'create' | 'same' | 'replace' | 'contested' | 'unusable' | 'lost';

export interface PlannedFile {
  readonly file: FileAt;
  /** Where it goes in the target. */
  readonly at: string;
  readonly action: FileAction;
  /** What is there now. */
  readonly now?: SourceFile;
  /** Why it is unusable or lost, or who contests it. */
  readonly reason?: string;
}

/** Keys of a bucket that are no names of files go here, under their SHA-256. */
const UNNAMED = '.holdfast-unnamed/';

/**
 * Nothing is written.
 * @param how `contested`: paths that rows of other tenants name. `rename`: a path that the target cannot have goes under another one.
 */
export function planFiles(
  store: ObjectStore,
  target: FileSource,
  files: readonly FileAt[],
  how: { readonly contested: ReadonlySet<string>; readonly rename: boolean },
): Promise<PlannedFile[]> {
  return inParallel(files, AT_ONCE, async (file): Promise<PlannedFile> => {
    const unusable = target.problem(file.path);
    const renamed = unusable !== undefined && how.rename;
    const planned = { file, at: renamed ? `${UNNAMED}${sha256(file.path)}` : file.path };
    if (unusable !== undefined && !renamed) return { ...planned, action: 'unusable', reason: unusable };
    const others = how.contested.has(file.path);
    if (others) return { ...planned, action: 'contested', reason: 'rows of another tenant name it too' };
    const lost = await lostContent(store, file);
    if (lost !== undefined) return { ...planned, action: 'lost', reason: lost };
    try {
      const now = await target.stat(planned.at);
      if (!now) return { ...planned, action: 'create' };
      return { ...planned, now, action: (await isSame(target, now, file)) ? 'same' : 'replace' };
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== 'HF_FILE_UNREADABLE') throw error;
      return { ...planned, action: 'unusable', reason: error.message };
    }
  });
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

async function lostContent(store: ObjectStore, { from }: FileAt): Promise<string | undefined> {
  if ('version' in from) return undefined;
  const { content, stored } = from.entry;
  const found = await store.head(content);
  if (found?.size === stored) return undefined;
  return found ? `${content} has ${found.size} bytes, not ${stored}` : `${content} is not in ${store.description}`;
}

/** By what the source says of it where that is enough, else by its content. */
async function isSame(target: FileSource, now: SourceFile, { from, size }: FileAt): Promise<boolean> {
  if (now.size !== size) return false;
  if ('version' in from) return now.token === from.version.token;
  if (now.token === from.entry.token) return true;
  const hash = createHash('sha256');
  const { body } = await target.read(now.path, { token: now.token });
  for await (const piece of body) hash.update(piece);
  return hash.digest('hex') === from.entry.sha256;
}
