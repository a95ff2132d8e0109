/** Lists that do not fit into the payload of a state machine lie in the store, under the execution that they are for. */
import { createHash } from 'node:crypto';
import { isCode } from '../core/errors.ts';
import type { ObjectStore } from '../core/ports.ts';

const FOLDER = 'runs/';
const DAY_MS = 86_400_000;

const folderOf = (execution: string): string =>
  `${FOLDER}${createHash('sha256').update(execution).digest('hex').slice(0, 32)}/`;

/** Keeps a value under a name. What was kept there first counts, also for a second attempt: it is returned. */
export async function keep<T>(store: ObjectStore, execution: string, name: string, value: T, now: number): Promise<T> {
  const body = Buffer.from(JSON.stringify({ at: new Date(now).toISOString(), value }));
  try {
    await store.put(`${folderOf(execution)}${name}.json`, body);
    return value;
  } catch (error) {
    if (!isCode(error, 'HF_OBJECT_EXISTS')) throw error;
    return kept<T>(store, execution, name);
  }
}

/** @throws IntegrityError HF_OBJECT_MISSING when nothing was kept */
export async function kept<T>(store: ObjectStore, execution: string, name: string): Promise<T> {
  const { value } = JSON.parse((await store.get(`${folderOf(execution)}${name}.json`)).toString()) as { value: T };
  return value;
}

/** Numbers of items, with a short answer of each, that stay below the 256 KiB of a payload. */
const MOST_ITEMS = 10_000;

/** The items of a Map over a list that was kept, by number: one for each entry, or as many as there may be. */
export const itemsOver = (list: readonly unknown[]): number[] =>
  Array.from({ length: Math.min(list.length, MOST_ITEMS) }, (_, item) => item);

/** Numbers of the entries that an item stands for: where there are more of them than items, several, far apart. */
export const entriesOf = (list: readonly unknown[], item: number): number[] =>
  Array.from({ length: Math.ceil((list.length - item) / MOST_ITEMS) }, (_, n) => item + n * MOST_ITEMS);

/** Removes what was kept longer ago than an execution can be redriven. */
export async function forgetOld(store: ObjectStore, days: number, now: number): Promise<number> {
  const names: string[] = [];
  for await (const { name } of store.list(FOLDER)) names.push(name);
  let removed = 0;
  for (const name of names) {
    const { at } = JSON.parse((await store.get(name)).toString()) as { at: string };
    if (now - Date.parse(at) < days * DAY_MS) continue;
    await store.delete(name);
    removed += 1;
  }
  return removed;
}
