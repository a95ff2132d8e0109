/** What one store has that another lacks, out of two listings, in memory that does not grow with the stores. */
import type { ObjectStore } from '../ports.ts';

/** An object by name, with its size in each of the two stores; undefined where it is not. */
export interface Pair {
  readonly name: string;
  readonly source: number | undefined;
  readonly target: number | undefined;
}

/** Every name under a prefix that either store has. Both list in name order, so this is one walk along both. */
export async function* pairs(source: ObjectStore, target: ObjectStore, prefix: string): AsyncGenerator<Pair> {
  const left = source.list(prefix)[Symbol.asyncIterator]();
  const right = target.list(prefix)[Symbol.asyncIterator]();
  let [a, b] = await Promise.all([left.next(), right.next()]);
  while (!a.done || !b.done) {
    if (b.done || (!a.done && a.value.name < b.value.name)) {
      yield { name: a.value.name, source: a.value.size, target: undefined };
      a = await left.next();
    } else if (a.done || b.value.name < a.value.name) {
      yield { name: b.value.name, source: undefined, target: b.value.size };
      b = await right.next();
    } else {
      yield { name: a.value.name, source: a.value.size, target: b.value.size };
      [a, b] = await Promise.all([left.next(), right.next()]);
    }
  }
}

/** Names under a prefix with their sizes. For one backup's folder: a store as a whole may have millions. */
export async function sizesUnder(store: ObjectStore, prefix: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { name, size } of store.list(prefix)) sizes.set(name, size);
  return sizes;
}
