/** Horizons as a backup sees them: where its log begins and ends. */
import type pg from 'pg';
import { advance } from '../history/advance.ts';
import { formatSnapshot } from '../history/snapshots.ts';
import type { Moment } from '../moment.ts';

export interface LogEnd {
  /** `holdfast.horizons.id`. A horizon is stretched while nothing happens, so its id, not its snapshot, is what lasts. */
  readonly id: bigint;
  /** pg_snapshot as text. */
  readonly snapshot: string;
  readonly moment: Moment;
}

/** Makes the present moment a horizon. */
export async function takeHorizon(client: pg.Client): Promise<LogEnd> {
  const { id, moment, snapshot } = await advance(client);
  return { id, moment, snapshot: formatSnapshot(snapshot) };
}

/** The horizon that a moment recorded by an earlier backup belongs to; undefined when it was pruned. */
export async function horizonAt(client: pg.Client, moment: string): Promise<bigint | undefined> {
  const { rows } = await client.query<{ id: string }>(
    'select id::text from holdfast.horizons where moment <= $1 order by moment desc limit 1',
    [moment],
  );
  return rows[0] ? BigInt(rows[0].id) : undefined;
}
