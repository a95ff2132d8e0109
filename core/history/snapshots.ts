/** Arithmetic on `pg_snapshot`, so that stores can be reasoned about when no server is left. */
import type { Cut, Snapshot } from './types.ts';

/** Reads `xmin:xmax:xip,…`, the text form that `pg_current_snapshot()` prints. */
export function parseSnapshot(text: string): Snapshot {
  const [xmin, xmax, xip] = text.split(':');
  if (!/^\d+:\d+:[\d,]*$/.test(text)) throw new TypeError(`not a pg_snapshot: ${JSON.stringify(text)}`);
  return Object.freeze({
    xmin: BigInt(xmin!),
    xmax: BigInt(xmax!),
    xip: xip ? xip.split(',').map(BigInt) : [],
  });
}

export const formatSnapshot = (s: Snapshot): string => `${s.xmin}:${s.xmax}:${s.xip.join(',')}`;

/** Whether the transaction was over (committed or rolled back) when the snapshot was taken. */
export function isVisible(xid: bigint, s: Snapshot): boolean {
  if (xid < s.xmin) return true;
  return xid < s.xmax && !s.xip.includes(xid);
}

/**
 * Whether `later` sees everything that `earlier` sees. Snapshots of one server are totally ordered by this, because
 * visibility only grows.
 */
export function isAtOrAfter(later: Snapshot, earlier: Snapshot): boolean {
  if (later.xmax < earlier.xmax) return false;
  const running = new Set(earlier.xip);
  return later.xip.every((xid) => xid >= earlier.xmax || running.has(xid));
}

export const inCut = (xid: bigint, cut: Cut): boolean => isVisible(xid, cut.snapshot) || cut.extra.includes(xid);
