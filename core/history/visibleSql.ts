/** What a snapshot or a cut sees, as SQL conditions for statements that take no parameters. Snapshots are numbers, so nothing is quoted. */
import { formatSnapshot } from './snapshots.ts';
import type { Cut, Snapshot } from './types.ts';

/** @param xid a column of type bigint, such as `c.xid` */
export const visibleSql = (xid: string, snapshot: Snapshot): string =>
  `pg_visible_in_snapshot(${xid}::text::xid8, '${formatSnapshot(snapshot)}'::pg_snapshot)`;

export const inCutSql = (xid: string, { snapshot, extra }: Cut): string =>
  extra.length === 0
    ? visibleSql(xid, snapshot)
    : `(${visibleSql(xid, snapshot)} or ${xid} = any ('{${extra.join(',')}}'::bigint[]))`;

/**
 * No change that `snapshot` does not see was written before this time, so an index on time can be used. Ask for it in the statement that reads the changes: one
 * that commits between two statements may have been written long before.
 */
export const sinceSql = (snapshot: Snapshot): string =>
  `(select holdfast.since((null, '${formatSnapshot(snapshot)}', '{}')::holdfast.cut))`;
