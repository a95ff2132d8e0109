/** Which files a tenant had at a moment, and where each content can be had from. */
import type { Context } from '../context.ts';
import { IntegrityError, RestoreError } from '../errors.ts';
import { formatMoment, type Moment, parseMoment } from '../moment.ts';
import { Keyring } from '../snapshot/keyring.ts';
import { openStore } from '../snapshot/store.ts';
import { listFileManifests, readFileManifest } from './manifest.ts';
import { type PageKeys, readPage } from './page.ts';
import { entryKey } from './previous.ts';
import type { SourceVersion } from './source.ts';
import type { FileEntry, FileManifest } from './types.ts';

export interface FileAt {
  readonly set: string;
  readonly path: string;
  /** Reference of the person who owns it, or null. */
  readonly person: string | null;
  readonly size: number;
  /** A content in the store, or a version in the source's own history. */
  readonly from: { readonly entry: FileEntry; readonly run: string } | { readonly version: SourceVersion };
  /**
   * true: the file was exactly this at that moment. false: it is what a run saw last before; what happened between that run and the
   * moment is not known.
   */
  readonly certain: boolean;
}

export interface SetState {
  readonly files: readonly FileAt[];
  /** Files that were gone or unreadable at that moment, with the last content that was seen. */
  readonly lastGood: readonly FileAt[];
  /** Files of persons who were erased since: nothing of them is known. */
  readonly erased: number;
  /** The runs that the answer comes from: the last one before the moment, and the first one after it. */
  readonly before?: FileManifest;
  readonly after?: FileManifest;
}

type StateContext = Pick<Context, 'store' | 'keys' | 'persons'>;

export interface StateReader extends PageKeys {
  readonly ctx: StateContext;
  readonly storeId: string;
}

export async function openStateReader(ctx: StateContext): Promise<StateReader> {
  const { id: storeId } = await openStore(ctx);
  return { ctx, storeId, ...ctx, keyring: new Keyring(ctx.store, ctx.keys, storeId) };
}

/**
 * @param moment undefined: the newest run
 * @throws RestoreError HF_FILES_NO_RUN; IntegrityError when a manifest or listing that is needed is damaged; KeyError
 */
export async function stateAt(
  reader: StateReader,
  tenant: string,
  set: string,
  moment: Moment | undefined,
): Promise<SetState> {
  const { before, after } = await runsAround(reader, tenant, set, moment);
  if (!before && !after) throw noRun(tenant, set);
  const last = await entriesOf(reader, tenant, set, before);
  const next = await entriesOf(reader, tenant, set, after);
  const files: FileAt[] = [];
  const lastGood: FileAt[] = [];
  for (const key of new Set([...last.entries.keys(), ...next.entries.keys()])) {
    const later = next.entries.get(key);
    const earlier = last.entries.get(key);
    const known = later?.state === 'present' && moment !== undefined && parseMoment(later.since) <= moment;
    const entry = known ? later : earlier;
    if (!entry) continue;
    const run = known ? after! : before!;
    // What a run found holds from `since` until the run looked; when exactly it looked is known to the run's length.
    const certain = known && moment <= parseMoment(run.startedAt);
    const { path, person, size } = entry;
    const at = { set, path, person, size, from: { entry, run: run.id }, certain };
    if (entry.state === 'present') files.push(at);
    else lastGood.push(at);
  }
  const order = (a: FileAt, b: FileAt) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
  return {
    files: files.sort(order),
    lastGood: lastGood.sort(order),
    erased: Math.max(last.erased, next.erased),
    ...(before ? { before } : {}),
    ...(after ? { after } : {}),
  };
}

/** The last run that had ended by the moment, and the first that ended after it. */
async function runsAround(
  { ctx, storeId }: StateReader,
  tenant: string,
  set: string,
  moment: Moment | undefined,
): Promise<{ before?: FileManifest; after?: FileManifest }> {
  const refs = await listFileManifests(ctx.store, tenant);
  const read = async (name: string) => {
    const manifest = await readFileManifest(ctx, name, storeId);
    return Object.hasOwn(manifest.sets, set) ? manifest : undefined;
  };
  const begun = moment === undefined ? undefined : formatMoment(moment).replace(/[-:.]/g, '').slice(0, 18);
  const started = refs.filter(({ id }) => begun === undefined || id.slice(0, 18) <= begun);
  let before: FileManifest | undefined;
  let after: FileManifest | undefined;
  for (const { name } of [...started].reverse()) {
    const manifest = await read(name);
    if (!manifest) continue;
    before = moment === undefined || parseMoment(manifest.finishedAt) <= moment ? manifest : undefined;
    if (before) break;
    after = manifest;
  }
  after ??= await firstAfter();
  return { ...(before ? { before } : {}), ...(after ? { after } : {}) };

  async function firstAfter(): Promise<FileManifest | undefined> {
    for (const { name } of refs.slice(started.length)) {
      try {
        const manifest = await read(name);
        if (manifest) return manifest;
      } catch (error) {
        // A later run only makes the answer more exact; the one after it does as well.
        if (!(error instanceof IntegrityError)) throw error;
      }
    }
    return undefined;
  }
}

async function entriesOf(
  reader: StateReader,
  tenant: string,
  set: string,
  manifest: FileManifest | undefined,
): Promise<{ entries: Map<string, FileEntry>; erased: number }> {
  const entries = new Map<string, FileEntry>();
  let erased = 0;
  const pages = manifest && Object.hasOwn(manifest.tenants, tenant) ? manifest.tenants[tenant]! : [];
  for (const page of pages.filter((p) => p.set === set)) {
    const opened = await readPage(reader, tenant, page);
    erased += opened.erased.length;
    for (const entry of opened.entries) entries.set(entryKey(entry.path, entry.person), entry);
  }
  return { entries, erased };
}

const noRun = (tenant: string, set: string) =>
  new RestoreError('HF_FILES_NO_RUN', `No file backup of ${set} holds tenant ${JSON.stringify(tenant)}.`, {
    action: 'See "holdfast files list" for the runs that there are, and check the name of the tenant.',
    details: { tenant, set },
  });
