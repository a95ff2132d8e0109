/**
 * A file backup as steps that are processes of their own: plan, then items by many at once, then the manifest. Each may be killed,
 * called twice or called late. What has been done stands in signed notes in the store, which also keep a cleanup that comes between two
 * steps from removing what the run is going to name.
 */
import type { Context } from '../context.ts';
import { formatMoment } from '../moment.ts';
import { inParallel } from '../restore/inParallel.ts';
import { checkDatabase, reservedTenant } from '../snapshot/checks.ts';
import { Keyring } from '../snapshot/keyring.ts';
import { openStore } from '../snapshot/store.ts';
import { SHARED } from '../snapshot/types.ts';
import { describeSets, noSets } from './backup.ts';
import { sumOf } from './findings.ts';
import { listFileManifests, readFileManifest, writeFileManifest } from './manifest.ts';
import { itemName, manifestName, newRunId, planName } from './names.ts';
import { readNote, writeNote } from './notes.ts';
import { allTenants } from './owners.ts';
import { recordEnd, recordStart } from './record.ts';
import { itemsOf, type Share, sharesOf } from './shares.ts';
import {
  type FileRunStep,
  type ItemDone,
  isThere,
  mustBeYoung,
  type Plan,
  type StepContext,
  unlessThere,
  withDatabase,
} from './step.ts';
import { FILES_FORMAT, FILES_VERSION, type FileManifest, type FilePage, type FileSetSetting } from './types.ts';

/** The name of a run that begins now. */
export const nextFileRun = ({ clock }: Pick<Context, 'clock'>): string => newRunId(formatMoment(clock.now()));

/**
 * Checks everything that can be wrong from the outset, and decides who looks at what.
 * @param claim called once all is well: says which run it is, the same one whenever the same is asked for
 * @param shareFiles about how many files an item has. @default 16,384
 * @returns the run, and how many items it has, at least one
 * @throws ConfigError HF_FILES_NONE, HF_TABLE_UNKNOWN, HF_COLUMN_UNKNOWN, HF_TENANT_UNKNOWN, HF_TENANT_RESERVED; StoreError
 * HF_FILES_RUN_OLD; DatabaseError HF_NOT_INSTALLED, HF_ROWS_HIDDEN, …
 */
export async function planFileRun(
  ctx: StepContext,
  sets: readonly FileSetSetting[],
  tenant: string | null,
  claim: () => Promise<string>,
  shareFiles?: number,
): Promise<{ readonly run: string; readonly items: number }> {
  if (sets.length === 0) throw noSets();
  return withDatabase(ctx, sets, async (client, bound) => {
    await checkDatabase(client, bound, tenant);
    const { id: store } = await openStore(ctx, { create: true });
    const everyone = await allTenants(client, bound);
    if (everyone.includes(SHARED)) throw reservedTenant();
    const run = await claim();
    mustBeYoung(ctx, run);
    const shares = await sharesOf(client, bound, sets, tenant, everyone, shareFiles);
    const items = itemsOf(shares, shareFiles);
    // Who works on one tenant at once must not make two keys: not every store refuses the second.
    const keyring = new Keyring(ctx.store, ctx.keys, store);
    for (const owner of inSeveral(items)) await keyring.tenantKey(owner);
    await recordStart(client, run, tenant);
    const plan: Plan = { run, store, startedAt: formatMoment(ctx.clock.now()), sets: describeSets(sets), items };
    try {
      await writeNote(ctx, planName(tenant, run), plan);
      return { run, items: items.length };
    } catch (error) {
      if (!isThere(error)) throw error; // an attempt before this one was first
      return { run, items: (await readNote<Plan>(ctx, planName(tenant, run), store)).items.length };
    }
  });
}

/** Tenants that stand in more than one item. */
function inSeveral(items: readonly (readonly Share[])[]): Set<string> {
  const tenants = items.flatMap((shares) => [...new Set(shares.map(({ tenant }) => tenant))]).sort();
  return new Set(tenants.filter((tenant, i) => tenant === tenants[i - 1]));
}

/** Notes of items that are read at once. */
const READERS = 16;

/**
 * Writes the manifest, which is the moment the run exists. Called again, it finds it. Where a run of the same scope that began later has
 * ended first, that one is the answer: it holds whatever this one would.
 * @throws IntegrityError HF_OBJECT_MISSING when an item was not done; StoreError HF_FILES_RUN_OLD, HF_FILES_BUSY
 */
export async function finishFileRun(ctx: StepContext, { run, tenant }: FileRunStep): Promise<FileManifest> {
  return withDatabase(ctx, [], async (client, _bound, { mustHold }) => {
    const { id: store } = await openStore(ctx);
    const newest = (await listFileManifests(ctx.store, tenant ?? undefined)).findLast(
      ({ id, name }) => id >= run && name === manifestName(tenant, id),
    );
    if (newest) {
      const manifest = await readFileManifest(ctx, newest.name, store);
      await recordEnd(client, manifest);
      return manifest;
    }
    mustBeYoung(ctx, run);
    const { startedAt, sets, items } = await readNote<Plan>(ctx, planName(tenant, run), store);
    const done = await inParallel([...items.keys()], READERS, (item) =>
      readNote<ItemDone>(ctx, itemName(tenant, run, item), store),
    );
    const pages = new Map<string, FilePage[]>();
    for (const { tenant: owner, page } of done.flatMap((note) => note.pages)) {
      pages.set(owner, [...(pages.get(owner) ?? []), page]);
    }
    await mustHold();
    const manifest = await writeFileManifest(ctx, {
      format: FILES_FORMAT,
      version: FILES_VERSION,
      ...{ id: run, store, tenant, startedAt, finishedAt: formatMoment(ctx.clock.now()) },
      sets,
      tenants: Object.fromEntries(pages),
      totals: sumOf(done.map(({ totals }) => totals)),
    }).catch((error: unknown) => {
      unlessThere(error); // another attempt was first
      return readFileManifest(ctx, manifestName(tenant, run), store);
    });
    await recordEnd(client, manifest);
    return manifest;
  });
}
