/** What one store has that another lacks, out of two listings, in memory that grows with the differences and not with the stores. */
import type { ObjectStore } from '../ports.ts';

/** An object by name, with its size in each of the two stores; undefined where it is not. */
export interface Pair {
  readonly name: string;
  readonly source: number | undefined;
  readonly target: number | undefined;
}

/**
 * Every name under a prefix that either store has, in no order: one walk along both listings. Stores list by code points, but some
 * compatible ones sort as a dictionary does; so a name that one side seems to lack is kept until the other side has ended.
 */
export async function* pairs(source: ObjectStore, target: ObjectStore, prefix: string): AsyncGenerator<Pair> {
  const left = new Side(source, prefix);
  const right = new Side(target, prefix);
  await Promise.all([left.step(), right.step()]);
  while (left.at || right.at) {
    if (left.at && right.at && left.at.name === right.at.name) {
      yield { name: left.at.name, source: left.at.size, target: right.at.size };
      await Promise.all([left.step(), right.step()]);
      continue;
    }
    const [side, other] = !right.at || (left.at && left.at.name < right.at.name) ? [left, right] : [right, left];
    const { name, size } = side.at!;
    const match = other.take(name);
    if (match === undefined && other.at) side.waiting.set(name, size);
    else yield side === left ? { name, source: size, target: match } : { name, source: match, target: size };
    await side.step();
  }
  for (const [name, size] of left.waiting) yield { name, source: size, target: undefined };
  for (const [name, size] of right.waiting) yield { name, source: undefined, target: size };
}

class Side {
  at: { readonly name: string; readonly size: number } | undefined;
  /** Names that the other side has not shown yet. */
  readonly waiting = new Map<string, number>();
  readonly #listing: AsyncIterator<{ name: string; size: number }>;

  constructor(store: ObjectStore, prefix: string) {
    this.#listing = store.list(prefix)[Symbol.asyncIterator]();
  }

  async step(): Promise<void> {
    const next = await this.#listing.next();
    this.at = next.done ? undefined : next.value;
  }

  take(name: string): number | undefined {
    const size = this.waiting.get(name);
    this.waiting.delete(name);
    return size;
  }
}

/** Names under a prefix with their sizes. For one backup's folder: a store as a whole may have millions. */
export async function sizesUnder(store: ObjectStore, prefix: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { name, size } of store.list(prefix)) sizes.set(name, size);
  return sizes;
}
