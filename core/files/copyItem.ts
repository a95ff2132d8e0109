/** The middle step of a file backup: what has changed of the files of one item. */
import { randomBytes } from 'node:crypto';
import { ConfigError, IntegrityError } from '../errors.ts';
import { inParallel } from '../restore/inParallel.ts';
import { Keyring } from '../snapshot/keyring.ts';
import { openStore } from '../snapshot/store.ts';
import { SHARED } from '../snapshot/types.ts';
import { oneAtATime, SHARES_AT_ONCE } from './backup.ts';
import { Budget } from './budget.ts';
import { Findings } from './findings.ts';
import { itemName, itemOfNote, itemPrefix, manifestName, pageName, planName, runOf } from './names.ts';
import { type NotedPage, NoteTaker, readNote, writeNote } from './notes.ts';
import { allTenants, ownedPaths } from './owners.ts';
import { openPrevious } from './previous.ts';
import type { Share } from './shares.ts';
import { type FileRunStep, mustBeYoung, type Plan, type StepContext, unlessThere, withDatabase } from './step.ts';
import { TenantRun } from './tenantRun.ts';
import type { FileSet } from './types.ts';

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

function named(sets: readonly FileSet[], name: string): FileSet {
  const found = sets.find((set) => set.name === name);
  if (found) return found;
  throw new ConfigError('HF_FILE_SET_UNKNOWN', `holdfast.yaml names no files "${name}" any more.`, {
    action: 'Start another file backup, or bring the set back.',
    details: { set: name, sets: sets.map((set) => set.name) },
  });
}
