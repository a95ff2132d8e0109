/**
 * Each entry is also an object in the store: `seals/<log>/<number>.json`, never overwritten. Whoever rules the database can
 * cut its newest seals off, or hang others in their place; the store remembers.
 */
import { isCode } from '../../errors.ts';
import type { KeyService, ObjectStore } from '../../ports.ts';
import { openStore } from '../../snapshot/store.ts';
import type { Client } from '../../sql.ts';
import type { WrittenEntry } from './entry.ts';
import type { Fault } from './types.ts';

export const anchorName = (log: string, number: number): string =>
  `seals/${log}/${String(number).padStart(12, '0')}.json`;

/** The first entry of each log once more, where the logs of a database are found without knowing them. */
const logName = (epoch: string, log: string): string => `seals/logs/${epoch}/${log}.json`;

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
  const { rows: first } = await client.query('select document from holdfast.seal_entries where number = $1', [since]);
  if (from < since) await putOnce(ctx.store, logName(last.entry.epoch, log), first[0].document);
  const { rows } = await client.query(
    `select number::text, document from holdfast.seal_entries e
      where e.number > $1 and e.number <= $2 order by e.number`,
    [from, last.entry.number],
  );
  for (const { number, document } of rows) await putOnce(ctx.store, anchorName(log, Number(number)), document);
  return rows.length;
}

async function putOnce(store: ObjectStore, name: string, document: string): Promise<void> {
  try {
    await store.put(name, Buffer.from(`${document}\n`));
  } catch (error) {
    // Another run was first. Whether it wrote the same is checked before anything is sealed on top of it.
    if (!isCode(error, 'HF_OBJECT_EXISTS')) throw error;
  }
}

/** Logs that the store has of a life of the database: the one that goes on, and those that it was resumed from. */
export async function logsInStore(store: ObjectStore, epoch: string): Promise<string[]> {
  const logs: string[] = [];
  const folder = `seals/logs/${epoch}/`;
  for await (const { name } of store.list(folder)) logs.push(name.slice(folder.length, -'.json'.length));
  return logs;
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
