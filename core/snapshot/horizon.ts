/** Horizons as a backup sees them: where its log begins and ends. */
import type pg from 'pg';
import { formatMoment, type Moment, parseMoment } from '../moment.ts';

export interface LogEnd {
  /** `holdfast.horizons.id`. A horizon is stretched while nothing happens, so its id, not its snapshot, is what lasts. */
  readonly id: bigint;
  /** pg_snapshot as text. */
  readonly snapshot: string;
  readonly moment: Moment;
}

interface Row {
  id: string;
  snapshot: string;
  until: string;
}

const end = (row: Row): LogEnd => ({
  id: BigInt(row.id),
  snapshot: row.snapshot,
  moment: parseMoment(row.until),
});

/** Makes the present moment a horizon. */
export async function takeHorizon(client: pg.Client): Promise<LogEnd> {
  const { rows } = await client.query<Row>('select id::text, snapshot::text, until::text from holdfast.advance()');
  return end(rows[0]!);
}

/** The horizon that a moment recorded by an earlier backup belongs to; undefined when it was pruned. */
export async function horizonAt(client: pg.Client, moment: string): Promise<bigint | undefined> {
  const { rows } = await client.query<{ id: string }>(
    'select id::text from holdfast.horizons where moment <= $1 order by moment desc limit 1',
    [moment],
  );
  return rows[0] ? BigInt(rows[0].id) : undefined;
}

export const momentText = (moment: Moment): string => formatMoment(moment);
