/** When a location was last read in full, kept in the location itself: `checks/<time>.json`. */
import { formatMoment } from '../moment.ts';
import type { Clock, KeyService, ObjectStore, Signature, Trust } from '../ports.ts';
import { signedBytes } from '../snapshot/canonical.ts';
import { documentBytes, parseDocument } from '../snapshot/store.ts';
import type { StoreVerdict } from './verifyStore.ts';

const FOLDER = 'checks/';
const FORMAT = 'holdfast-check';

export interface CheckRecord {
  /** When the reading ended. UTC, ISO 8601, to the microsecond. */
  readonly at: string;
  readonly store: string;
  readonly backups: number;
  readonly bytes: number;
  /** How many faults it found. */
  readonly faults: number;
  /** Whether the signature holds. An account that only pulls has no key to sign with. */
  readonly signed: boolean;
}

type Written = Omit<CheckRecord, 'signed'> & { readonly format: string; readonly signature?: Signature };

/** Adds a record; earlier ones stay. */
export async function writeCheck(
  ctx: { readonly store: ObjectStore; readonly clock: Clock; readonly keys?: KeyService | undefined },
  { store, backups, bytes, faults }: StoreVerdict,
): Promise<void> {
  const at = formatMoment(ctx.clock.now());
  const unsigned = { format: FORMAT, version: 1, at, store, backups, bytes, faults: faults.length };
  const signature = await ctx.keys?.sign(signedBytes(unsigned));
  const name = `${FOLDER}${at.replace(/[-:.]/g, '')}.json`;
  await ctx.store.put(name, documentBytes(signature ? { ...unsigned, signature } : unsigned));
}

/** The newest record. One whose signature does not hold is passed over: whoever can write there could say anything. */
export async function lastCheck(store: ObjectStore, storeId: string, trust: Trust): Promise<CheckRecord | undefined> {
  const names: string[] = [];
  for await (const { name } of store.list(FOLDER)) names.push(name);
  for (const name of names.reverse()) {
    const written = parseDocument(await store.get(name), name) as Written;
    const { format, signature, at, backups, bytes, faults } = written;
    if (format !== FORMAT || written.store !== storeId) continue;
    if (signature && !(await trust.verify(signedBytes(written), signature))) continue;
    return { at, store: storeId, backups, bytes, faults, signed: signature !== undefined };
  }
  return undefined;
}
