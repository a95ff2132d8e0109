/**
 * A file backup as steps that are processes of their own: plan, then items by many at once, then the manifest. Each may be killed,
 * called twice or called late. What has been done stands in signed notes in the store, which also keep a cleanup that comes between two
 * steps from removing what the run is going to name.
 */
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import type { Context } from '../context.ts';
import { bind } from '../datamap/bind.ts';
import type { BoundMap } from '../datamap/types.ts';
import { ConfigError, HoldfastError, IntegrityError, StoreError } from '../errors.ts';
import { formatMoment } from '../moment.ts';
import { inParallel } from '../restore/inParallel.ts';
import { checkDatabase, reservedTenant } from '../snapshot/checks.ts';
import { Keyring } from '../snapshot/keyring.ts';
import { openStore } from '../snapshot/store.ts';
import { SHARED } from '../snapshot/types.ts';
import { connect } from '../sql.ts';
import { describeSets, noSets, oneAtATime, SHARES_AT_ONCE } from './backup.ts';
import { Budget } from './budget.ts';
import { Findings, sumOf } from './findings.ts';
import { type Held, lockForStep } from './locks.ts';
import { listFileManifests, readFileManifest, writeFileManifest } from './manifest.ts';
import { itemName, itemOfNote, itemPrefix, manifestName, newRunId, pageName, planName, runOf } from './names.ts';
import { type Note, type NotedPage, NoteTaker, oldestOfUse, readNote, writeNote } from './notes.ts';
import { allTenants, checkSet, ownedPaths } from './owners.ts';
import { openPrevious } from './previous.ts';
import { recordEnd, recordStart } from './record.ts';
import { itemsOf, type Share, sharesOf } from './shares.ts';
import { TenantRun } from './tenantRun.ts';
import {
  FILES_FORMAT,
  FILES_VERSION,
  type FileManifest,
  type FilePage,
  type FileSet,
  type FileSetSetting,
  type FileTotals,
} from './types.ts';

type StepContext = Context & { readonly databaseUrl: string };

/** A run that is made in steps. */
export interface FileRunStep {
  readonly run: string;
  /** null: every tenant, and files of no tenant */
  readonly tenant: string | null;
}

interface Plan {
  readonly run: string;
  readonly store: string;
  readonly startedAt: string;
  readonly sets: FileManifest['sets'];
  /** By number: what is looked at together. */
  readonly items: readonly (readonly Share[])[];
}

/** The last note of an item. */
interface ItemDone extends Note {
  readonly totals: FileTotals;
}

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

export interface ItemLimits {
  /** Whether there is no time any more to read so many bytes. */
  readonly stop: (bytes: number) => boolean;
  /** Bytes of the largest file that a step can take. */
  readonly largest: number;
}

/**
 * Brings the files of an item into the store, as far as the time allows.
 * @returns whether all of it is done; else it goes on where it was when it is called again
 * @throws as `backUpFiles`, and StoreError HF_FILES_RUN_OLD
 */
export async function copyFileItem(
  ctx: StepContext,
  sets: readonly FileSet[],
  step: FileRunStep & { readonly item: number },
  { stop, largest }: ItemLimits,
): Promise<{ done: boolean }> {
  const { run, tenant: scope, item } = step;
  for (const name of [manifestName(scope, run), itemName(scope, run, item)]) {
    if (await ctx.store.head(name)) return { done: true };
  }
  mustBeYoung(ctx, run);
  return withDatabase(ctx, sets, async (client, bound, held) => {
    const { id: store } = await openStore(ctx);
    const shares = (await readNote<Plan>(ctx, planName(scope, run), store)).items[item]!;
    const keyring = new Keyring(ctx.store, ctx.keys, store);
    const reader = { store: ctx.store, persons: ctx.persons, keyring };
    const previous = await openPrevious(ctx, reader, store, scope, notesFor(ctx, step, store, shares));
    const everyone = shares.some(({ tenant }) => tenant === SHARED) ? await allTenants(client, bound) : [];
    const findings = new Findings();
    const budget = new Budget();
    const asked = oneAtATime();
    const mustHold = () => asked(held.mustHold);
    const mark = randomBytes(6).toString('hex');
    const notes = new NoteTaker(ctx, { scope, run, store, of: `${itemPrefix(item)}${mark}-`, mustHold });
    let made = 0;
    const pages = await inParallel(shares, SHARES_AT_ONCE, async (share) => {
      const { tenant, part } = share;
      // The first page is made however long it takes: each call must bring the item further.
      if (stop(0)) return undefined;
      const set = named(sets, share.set);
      const known = await previous.known(share);
      const tenantRun = new TenantRun({
        ...{ ctx, keyring, set, share, run, index: undefined, findings, budget, reread: false, known, largest },
        onPage: (page, bytes) => notes.add(tenant, page, bytes),
        nextPage: () => pageName(tenant, run, ++made, mark),
        stop: (bytes) => stop(made > 0 ? bytes : 0),
      });
      return tenantRun.back(await asked(() => ownedPaths(client, bound, set, tenant, everyone, part)));
    });
    if (pages.some((own) => own === undefined)) {
      await notes.flush();
      return { done: false };
    }
    await mustHold();
    const all = shares.flatMap(({ tenant }, i) => pages[i]!.map((page): NotedPage => ({ tenant, page })));
    const { totals } = findings.report();
    await writeNote(ctx, itemName(scope, run, item), { run, store, pages: all, totals }).catch(unlessThere);
    return { done: true };
  });
}

/** What an attempt at this item has read, and what runs have that were given up: of the items with the same tenants. */
function notesFor(
  ctx: StepContext,
  { run, tenant: scope, item }: FileRunStep & { readonly item: number },
  store: string,
  shares: readonly Share[],
) {
  const mine = new Set(shares.map(({ set, tenant }) => `${set} ${tenant}`));
  return async (names: readonly string[]): Promise<string[]> => {
    const chosen: string[] = [];
    for (const [other, own] of Map.groupBy(names, runOf)) {
      const plan = other === run ? undefined : await planOf(ctx, scope, other, store);
      const touches = (number: number | undefined): boolean => {
        if (other === run) return number === item;
        const items = number === undefined ? undefined : plan?.items[number];
        return items?.some(({ set, tenant }) => mine.has(`${set} ${tenant}`)) ?? true;
      };
      chosen.push(...own.filter((name) => touches(itemOfNote(name))));
    }
    return chosen;
  };
}

/** undefined: that run had none, or it is damaged. */
async function planOf(ctx: StepContext, scope: string | null, run: string, store: string): Promise<Plan | undefined> {
  try {
    return await readNote<Plan>(ctx, planName(scope, run), store);
  } catch (error) {
    if (error instanceof IntegrityError) return undefined;
    throw error;
  }
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

/** With the lock that keeps cleanups away while a step is at work. */
async function withDatabase<T>(
  ctx: StepContext,
  sets: readonly FileSetSetting[],
  work: (client: pg.Client, bound: BoundMap, held: Held) => Promise<T>,
): Promise<T> {
  const client = await connect(ctx.databaseUrl, 'holdfast-files');
  try {
    const bound = await bind(client, ctx.map);
    for (const set of sets) checkSet(bound, set);
    return await work(client, bound, await lockForStep(client));
  } finally {
    await client.end();
  }
}

/** Notes protect what a run has read for two days; later it may be gone. */
function mustBeYoung({ clock }: StepContext, run: string): void {
  if (run >= oldestOfUse(clock.now())) return;
  throw new StoreError('HF_FILES_RUN_OLD', `The file backup ${run} was begun too long ago to be gone on with.`, {
    action: 'Start another: it reads what has changed since the last complete one.',
    details: { run },
  });
}

function named(sets: readonly FileSet[], name: string): FileSet {
  const found = sets.find((set) => set.name === name);
  if (found) return found;
  throw new ConfigError('HF_FILE_SET_UNKNOWN', `holdfast.yaml names no files "${name}" any more.`, {
    action: 'Start another file backup, or bring the set back.',
    details: { set: name, sets: sets.map((set) => set.name) },
  });
}

const isThere = (error: unknown): boolean => error instanceof HoldfastError && error.code === 'HF_OBJECT_EXISTS';

function unlessThere(error: unknown): void {
  if (!isThere(error)) throw error;
}
