/**
 * Each entry is also an object in the store: `seals/<log>/<number>.json`, never overwritten. Whoever rules the database can
 * cut its newest seals off, or hang others in their place; the store remembers.
 */
import { HoldfastError } from '../../errors.ts';
import type { KeyService, ObjectStore } from '../../ports.ts';
import { openStore } from '../../snapshot/store.ts';
import type { Client } from '../../sql.ts';
import type { WrittenEntry } from './entry.ts';
import type { Fault } from './types.ts';

export const anchorName = (log: string, number: number): string =>
  `seals/${log}/${String(number).padStart(12, '0')}.json`;

/** Writes the anchors that are missing, oldest first; returns how many. A run that was killed is made good by the next. */
export async function anchor(
  ctx: { readonly store: ObjectStore; readonly keys: KeyService },
  client: Client,
  last: WrittenEntry,
): Promise<number> {
  const { log, since } = last.entry;
  let from = last.entry.number;
  while (from >= since && !(await ctx.store.head(anchorName(log, from)))) from--;
  if (from === last.entry.number) return 0;
  await openStore(ctx, { create: true });
  const { rows } = await client.query(
    `select number::text, document from holdfast.seal_entries
      where number > $1 and number <= $2 order by number`,
    [from, last.entry.number],
  );
  for (const { number, document } of rows) {
    try {
      await ctx.store.put(anchorName(log, Number(number)), Buffer.from(`${document}\n`));
    } catch (error) {
      // Another run was first. Whether it wrote the same is checked before anything is sealed on top of it.
      if (!(error instanceof HoldfastError && error.code === 'HF_OBJECT_EXISTS')) throw error;
    }
  }
  return rows.length;
}

export interface AnchorReport {
  readonly faults: readonly Fault[];
  /** The newest entry that the store vouches for. */
  readonly anchored: number;
}

/**
 * Compares the newest entry of the database with the store. Because entries name each other's digests, one that is the same
 * vouches for all before it. `documentOf` gives an entry of the database.
 */
export async function checkAnchors(
  store: ObjectStore,
  last: WrittenEntry,
  documentOf: (number: number) => Promise<string | undefined>,
): Promise<AnchorReport> {
  const { log, number, since } = last.entry;
  const newest = await newestAnchor(store, last);
  const faults: Fault[] = [];
  if (newest > number) {
    faults.push({
      kind: 'truncated',
      entry: number + 1,
      message: `Seals ${number + 1} to ${newest} are gone from the database; the store has them.`,
    });
  }
  let anchored = Math.min(newest, number);
  const same = async (n: number) => {
    const bytes = await store.get(anchorName(log, n));
    return bytes.toString('utf8') === `${await documentOf(n)}\n`;
  };
  if (anchored >= since && !(await same(anchored))) {
    const replaced = await firstReplaced(same, since, anchored);
    faults.push({
      kind: 'tail-replaced',
      entry: replaced,
      message: `From seal ${replaced} on, the database holds others than those that were anchored in the store.`,
    });
    anchored = replaced - 1;
  }
  return { faults, anchored };
}

/** The first number whose anchor differs; what follows a different one differs too. */
async function firstReplaced(same: (n: number) => Promise<boolean>, since: number, bad: number): Promise<number> {
  let low = since;
  let high = bad;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (await same(middle).catch(() => true)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Number of the newest anchor of a log. Looks around where it should be, so that a long log is not listed. */
export async function newestAnchor(store: ObjectStore, last: WrittenEntry): Promise<number> {
  const { log, since, number: expected } = last.entry;
  const there = async (n: number) => (await store.head(anchorName(log, n))) !== undefined;
  let at = expected;
  while (at >= since && !(await there(at))) at--;
  if (at < expected) return at;
  let step = 1;
  while (await there(at + step)) {
    at += step;
    step *= 2;
  }
  for (; step >= 1; step = Math.floor(step / 2)) if (await there(at + step)) at += step;
  return at;
}
