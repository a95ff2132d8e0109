import { formatMoment } from '../moment.ts';
import { type SettledRequests, settleRequests } from '../restore/requests/settle.ts';
import type { Client } from '../sql.ts';
import { advance } from './advance.ts';
import { underLock } from './lock.ts';
import { createPartitions } from './partitions.ts';

export interface MaintainReport {
  /** History is exact up to here. */
  readonly moment: string;
  readonly snapshot: string;
  /** Partitions that were made now. */
  readonly partitions: readonly string[];
  /** Restore requests and tenants' maintenance whose time was over. */
  readonly requests: SettledRequests;
}

/**
 * Closes the present moment, makes the partitions of the months to come and, where no event trigger does, notes schema changes.
 * Ends what ran out: restore requests that nobody decided or whose run was killed, and the maintenance of tenants. Cheap; meant to run every minute.
 */
export async function maintain(client: Client): Promise<MaintainReport> {
  const partitions = await underLock(client, 5_000, () => createPartitions(client));
  await client.query('select holdfast.follow_unwatched()');
  // What waited in vain for a parent: the row was deleted by hand where no key held it.
  await client.query('delete from holdfast.waiting where xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint');
  const requests = await settleRequests(client);
  const { moment, snapshot } = await advance(client);
  return {
    moment: formatMoment(moment),
    snapshot: `${snapshot.xmin}:${snapshot.xmax}:${snapshot.xip.join(',')}`,
    partitions,
    requests,
  };
}
