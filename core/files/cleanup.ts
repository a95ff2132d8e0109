/**
 * Removes runs that retention gives up, then what no run that stays names. A manifest goes before what it names, so that no run is
 * ever there without its contents; a kill leaves objects that the next cleanup finds.
 */
import { logStep } from '../catalog/record.ts';
import type { Context } from '../context.ts';
import { HoldfastError } from '../errors.ts';
import { formatMoment } from '../moment.ts';
import type { ObjectStore } from '../ports.ts';
import { inParallel } from '../restore/inParallel.ts';
import { Keyring } from '../snapshot/keyring.ts';
import { holdsInStore } from '../snapshot/legalHold.ts';
import { applyRetention, type RetainedBackup, type RetentionPolicy } from '../snapshot/retention.ts';
import { openStore } from '../snapshot/store.ts';
import { connect } from '../sql.ts';
import { lockForCleanup } from './locks.ts';
import { listFileManifests, readFileManifest } from './manifest.ts';
import { CONTENT, manifestName, NOTES, noteFolder, PAGES, runOf } from './names.ts';
import { type NotedPage, oldestOfUse, readNotes } from './notes.ts';
import { contentsOf } from './page.ts';
import type { FileManifest } from './types.ts';

export interface FileCleanupReport {
  readonly keep: readonly { readonly id: string; readonly reasons: readonly string[] }[];
  readonly remove: readonly { readonly id: string; readonly tenant: string | null; readonly reason: string }[];
  /** Listings, contents and notes that no run names. */
  readonly objects: number;
  readonly bytes: number;
  /** Objects that the store would not let go, as those under a lock. */
  readonly refused: readonly { readonly object: string; readonly code: string }[];
  readonly preview: boolean;
  /** false: `stop` ended it, and there is more to remove. */
  readonly done: boolean;
}

/** Objects read or removed at once. */
const AT_ONCE = 16;
/** Objects that are removed between two looks at the time. */
const WAVE = 256;

/**
 * @throws StoreError HF_FILES_BUSY; IntegrityError when a manifest or listing cannot be read: what it names is then not known, and
 * nothing is removed
 */
export async function cleanUpFiles(
  ctx: Context & { readonly databaseUrl: string },
  policy: RetentionPolicy,
  options: { readonly preview?: boolean; readonly stop?: () => boolean } = {},
): Promise<FileCleanupReport> {
  const client = await connect(ctx.databaseUrl, 'holdfast-files-cleanup');
  try {
    await lockForCleanup(client);
    const report = await run(ctx, policy, options.preview === true, options.stop ?? (() => false));
    if (!report.preview) {
      const { remove, objects, bytes } = report;
      const detail = { runs: remove.map(({ id }) => id), objects, bytes };
      await logStep(client, { backup: null, tenant: null, step: 'files-cleanup', result: 'ok', detail });
    }
    return report;
  } finally {
    await client.end();
  }
}

async function run(
  ctx: Context,
  policy: RetentionPolicy,
  preview: boolean,
  stop: () => boolean,
): Promise<FileCleanupReport> {
  const { id: storeId } = await openStore(ctx);
  const manifests = await inParallel(await listFileManifests(ctx.store), AT_ONCE, ({ name }) =>
    readFileManifest(ctx, name, storeId),
  );
  const held = await holdsInStore(ctx.store);
  const now = ctx.clock.now();
  const decided = applyRetention(
    manifests.map((manifest) => retained(manifest, held.has(manifest.id))),
    policy,
    formatMoment(now),
  );
  const byId = new Map(manifests.map((manifest) => [manifest.id, manifest]));
  const names = new Names(ctx, new Keyring(ctx.store, ctx.keys, storeId));
  // First of all, so that nothing is removed where a listing cannot be read.
  for (const { id } of decided.keep) await names.addRun(byId.get(id)!);
  const notes = await findNotes(ctx, storeId, manifests, oldestOfUse(now));
  await names.addPages(notes.pages);

  const refused: { object: string; code: string }[] = [];
  const drop = async (object: string): Promise<boolean> => {
    try {
      if (!preview) await ctx.store.delete(object);
      return true;
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== 'HF_STORE_DENIED') throw error;
      refused.push({ object, code: error.code });
      return false;
    }
  };
  for (const { id } of decided.remove) {
    const manifest = byId.get(id)!;
    // A run that the store does not let go stays whole.
    if (!(await drop(manifestName(manifest.tenant, id)))) await names.addRun(manifest);
  }
  const sweep = [...notes.old];
  for (const folder of [PAGES, CONTENT]) {
    for await (const object of ctx.store.list(folder)) if (!names.has(object.name)) sweep.push(object);
  }
  let objects = 0;
  let bytes = 0;
  for (; sweep.length > 0 && !stop(); ) {
    await inParallel(sweep.splice(0, WAVE), AT_ONCE, async ({ name, size }) => {
      if (!(await drop(name))) return;
      objects++;
      bytes += size;
    });
  }
  const remove = decided.remove.map(({ id, reason }) => ({ id, tenant: byId.get(id)!.tenant, reason }));
  return { keep: decided.keep, remove, objects, bytes, refused, preview, done: sweep.length === 0 };
}

/** Names of the listings and contents that must stay. */
class Names {
  readonly #named = new Set<string>();
  readonly #store: ObjectStore;
  readonly #keyring: Keyring;

  constructor({ store }: Context, keyring: Keyring) {
    this.#store = store;
    this.#keyring = keyring;
  }

  has = (name: string): boolean => this.#named.has(name);

  addRun({ tenants }: FileManifest): Promise<void> {
    return this.addPages(Object.entries(tenants).flatMap(([tenant, pages]) => pages.map((page) => ({ tenant, page }))));
  }

  async addPages(pages: readonly NotedPage[]): Promise<void> {
    const reader = { store: this.#store, keyring: this.#keyring };
    const unknown = pages.filter(({ page }) => !this.#named.has(page.object));
    await inParallel(unknown, AT_ONCE, async ({ tenant, page }) => {
      for (const { content } of await contentsOf(reader, tenant, page)) this.#named.add(content);
      this.#named.add(page.object);
    });
  }
}

/** Notes that the next run of their scope may still use, and those that are of no use any more. */
async function findNotes(
  ctx: Context,
  storeId: string,
  manifests: readonly FileManifest[],
  tooOld: string,
): Promise<{ pages: NotedPage[]; old: { name: string; size: number }[] }> {
  const old: { name: string; size: number }[] = [];
  const scopes = new Set<string>();
  const after = new Map<string, string>();
  for (const { tenant, id } of manifests) after.set(noteFolder(tenant), id);
  for await (const object of ctx.store.list(NOTES)) {
    const folder = object.name.slice(0, object.name.lastIndexOf('/', object.name.lastIndexOf('/') - 1) + 1);
    const run = runOf(object.name);
    if (run <= (after.get(folder) ?? '') || run < tooOld) old.push(object);
    else scopes.add(folder);
  }
  const pages: NotedPage[] = [];
  for (const folder of scopes) {
    const newest = after.get(folder) ?? '';
    pages.push(...(await readNotes(ctx, folder, storeId, newest > tooOld ? newest : tooOld)));
  }
  return { pages, old };
}

/** A run stands on no other: what it shares with others is counted by name. */
const retained = ({ id, tenant, finishedAt }: FileManifest, legalHold: boolean): RetainedBackup => ({
  ...{ id, tenant, type: 'full', parent: null, legalHold },
  ...{ horizon: finishedAt, logFrom: finishedAt, consistentFrom: finishedAt },
});
