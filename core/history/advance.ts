import { type Moment, parseMoment } from '../moment.ts';
import type { Client } from '../sql.ts';
import { atSql } from './moments.ts';
import { parseSnapshot } from './snapshots.ts';
import type { Snapshot } from './types.ts';

/** A moment whose cut is known: everything that `snapshot` sees had committed by then, and nothing else had. */
export interface Horizon {
  readonly id: bigint;
  readonly moment: Moment;
  readonly snapshot: Snapshot;
}

/**
 * Closes the present moment. Call it before reading history up to now, and now and then (every minute) so that commit times
 * are noted while the server still has them. In a REPEATABLE READ transaction it gives the last horizon visible there.
 */
export async function advance(client: Client): Promise<Horizon> {
  const { rows } = await client.query(
    `select h.id::text, ${atSql('h.until')} as moment, h.snapshot::text from holdfast.advance() h`,
  );
  const row = rows[0]!;
  return { id: BigInt(row.id), moment: parseMoment(row.moment), snapshot: parseSnapshot(row.snapshot) };
}
