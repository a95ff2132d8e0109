/** Follows the chains of segments from entry to entry. */
import { HeadsTree } from './heads.ts';
import { type Entry, type Fault, NOTHING, type SegmentHeader } from './types.ts';

/** The heads of all chains as they grow, batch by batch, and what is wrong with a segment's place among them. */
export class ChainWalk {
  readonly tree = new HeadsTree();
  readonly #heads: { digest: string; segments: number; tenant: string | null }[] = [];
  #broken = false;

  get chains(): readonly { readonly digest: string; readonly segments: number; readonly tenant: string | null }[] {
    return this.#heads;
  }

  /** The next segment of its chain. */
  follow(header: SegmentHeader, digest: string, report: (fault: Fault) => void): void {
    const before = this.#heads[header.chain - 1];
    const expected = (before?.segments ?? 0) + 1;
    const about = { tenant: header.tenant, entry: header.entry, segment: header.number };
    const name = header.tenant === null ? 'the rows without a tenant' : `tenant ${header.tenant}`;
    if (header.number > expected) {
      const range = header.number - expected > 1 ? `s ${expected} to ${header.number - 1}` : ` ${expected}`;
      const message = `Segment${range} of ${name} ${header.number - expected > 1 ? 'are' : 'is'} gone.`;
      report({ kind: 'removed', message, ...about, segment: expected });
    } else if (header.number < expected) {
      report({ kind: 'inserted', message: `Segment ${header.number} of ${name} stands twice.`, ...about });
      return;
    } else if (header.previous !== (before?.digest ?? NOTHING)) {
      const message = `Segment ${header.number - 1} of ${name} is not the one that segment ${header.number} follows: it was replaced.`;
      report({ kind: 'chain', message, ...about, segment: header.number - 1 });
    }
    if (before && before.tenant !== header.tenant) {
      report({
        kind: 'chain',
        message: `Chain ${header.chain} passes from one tenant to another at segment ${header.number}.`,
        ...about,
      });
    }
    // A segment that follows knows the digest of the one before, so the tree can be mended and one fault is told once.
    if (header.number === expected && before && before.digest !== header.previous)
      this.tree.set(header.chain, header.previous);
    for (let missing = this.tree.size + 1; missing < header.chain; missing++) this.tree.set(missing, NOTHING);
    this.#heads[header.chain - 1] = { digest, segments: header.number, tenant: header.tenant };
    this.tree.set(header.chain, digest);
  }

  /** Holds the heads against what an entry signed. Faults that were told for it already are not told again. */
  compare(entry: Entry, told: boolean, tenants: readonly (string | null)[], report: (fault: Fault) => void): void {
    const same = this.tree.root === entry.heads && this.tree.size === entry.chains;
    if (!same && !told && !this.#broken) {
      const some = tenants
        .slice(0, 5)
        .map((t) => t ?? '(none)')
        .join(', ');
      const message =
        `The segments under seal ${entry.number} are not those that it vouches for: a whole segment was forged, or is missing` +
        `${some ? `, of one of: ${some}` : ''}.`;
      report({ kind: 'chain', entry: entry.number, message, ...(tenants.length === 1 && { tenant: tenants[0]! }) });
    }
    this.#broken = !same;
  }
}
