/**
 * The tree over the heads of all chains, in the order of their numbers. Changing one head costs one hash per level. Leaf:
 * SHA-256(0x00 ‖ digest of the chain's newest segment); node: SHA-256(0x01 ‖ left ‖ right); a last one without a partner
 * moves up as it is.
 */
import { hash } from 'node:crypto';
import { NOTHING } from './types.ts';

const digest = (prefix: number, parts: readonly string[]): string =>
  hash('sha256', Buffer.from(prefix.toString(16).padStart(2, '0') + parts.join(''), 'hex'), 'hex');

export class HeadsTree {
  readonly #levels: string[][] = [[]];

  get size(): number {
    return this.#levels[0]!.length;
  }

  /** Sets the head of a chain (from 1); the next new one is `size + 1`. */
  set(chain: number, head: string): void {
    let at = chain - 1;
    this.#levels[0]![at] = digest(0, [head]);
    for (let level = 0; this.#levels[level]!.length > 1; level++) {
      const below = this.#levels[level]!;
      this.#levels[level + 1] ??= [];
      at >>= 1;
      const right = below[2 * at + 1];
      this.#levels[level + 1]![at] = right === undefined ? below[2 * at]! : digest(1, [below[2 * at]!, right]);
    }
  }

  /** 64 zeros when there is no chain. */
  get root(): string {
    return this.#levels.at(-1)![0] ?? NOTHING;
  }

  /** The partners on the way from a chain's head to the root; null where there is none. */
  path(chain: number): (string | null)[] {
    return this.#levels.slice(0, -1).map((level, depth) => level[((chain - 1) >> depth) ^ 1] ?? null);
  }
}

/** The root that a head and its path lead to. */
export function rootOf(chain: number, head: string, path: readonly (string | null)[]): string {
  let node = digest(0, [head]);
  path.forEach((partner, depth) => {
    if (partner === null) return;
    node = ((chain - 1) >> depth) & 1 ? digest(1, [partner, node]) : digest(1, [node, partner]);
  });
  return node;
}
