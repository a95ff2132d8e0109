/** How a chain is folded: in units of about a chunk, each of which becomes one object. Pure: the same chain gives the same plan. */
import type { Chain } from '../restore/chain.ts';
import { type SlabRef, slabsOf } from '../restore/slabQueue.ts';
import type { Share } from './syntheticLog.ts';
import type { Manifest } from './types.ts';

/** Slabs of one tenant's base; with `last`, the rows that only the log has. */
export interface Piece {
  readonly tenant: string;
  readonly share: Share;
  readonly slabs: readonly SlabRef[];
  readonly last: boolean;
}

export interface Unit {
  readonly id: string;
  readonly pieces: readonly Piece[];
  /** Estimated raw bytes. */
  readonly bytes: number;
}

export interface SyntheticPlanOptions {
  readonly wanted: (tenant: string) => boolean;
  /** Raw bytes that a unit should hold. */
  readonly target: number;
  /** Raw bytes of log that are folded at once. */
  readonly memory: number;
}

export function planSynthetic(chain: Chain, options: SyntheticPlanOptions): Unit[] {
  const ratio = (m: Manifest) => (m.totals.bytes === 0 ? 1 : Math.max(1, m.totals.rawBytes / m.totals.bytes));
  const base = Map.groupBy(slabsOf(chain.base, 'chunk', options.wanted), (ref) => ref.slab.tenant);
  const logged = new Map<string, number>();
  for (const manifest of chain.logs) {
    for (const { slab } of slabsOf(manifest, 'log', options.wanted))
      logged.set(slab.tenant, (logged.get(slab.tenant) ?? 0) + slab.length * ratio(manifest));
  }
  const units: Unit[] = [];
  let pieces: Piece[] = [];
  let bytes = 0;
  const flush = () => {
    if (pieces.length > 0) units.push({ id: String(units.length + 1), pieces, bytes: Math.round(bytes) });
    pieces = [];
    bytes = 0;
  };
  for (const tenant of [...new Set([...base.keys(), ...logged.keys()])].sort()) {
    const passes = Math.max(1, Math.ceil((logged.get(tenant) ?? 0) / options.memory));
    for (let pass = 0; pass < passes; pass++) {
      let slabs: SlabRef[] = [];
      const end = (last: boolean) => {
        pieces.push({ tenant, share: { pass, passes }, slabs, last });
        slabs = [];
      };
      for (const ref of base.get(tenant) ?? []) {
        const size = (ref.slab.length * ratio(chain.base)) / passes;
        if (bytes + size > options.target && bytes > 0) {
          if (slabs.length > 0) end(false);
          flush();
        }
        slabs.push(ref);
        bytes += size;
      }
      end(true);
      bytes += (logged.get(tenant) ?? 0) / passes;
    }
  }
  flush();
  return units;
}
