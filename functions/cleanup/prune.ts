import * as z from 'zod';
import { prune } from '../../core/history/prune.ts';
import { parseSnapshot } from '../../core/history/snapshots.ts';
import { parseMoment } from '../../core/moment.ts';
import { databaseOf } from '../../core/snapshot/backup.ts';
import { listManifests, readManifest } from '../../core/snapshot/manifest.ts';
import type { Manifest } from '../../core/snapshot/types.ts';
import { connect } from '../../core/sql.ts';
import { execution } from '../backup/request.ts';
import { lambda, type TaskContext, task } from '../task.ts';

/** Months of history that are older than the retention of the trail go from the database, when a backup holds all of them. */
export const work = task({
  input: z.object({ execution }),
  run: async (ctx) => {
    const client = await connect(databaseOf(ctx), 'holdfast-prune');
    try {
      const { rows } = await client.query<{ epoch: string; before: string }>(
        'select epoch::text, (now() - $1::interval)::text as before from holdfast.installation',
        [ctx.settings.retention.trail],
      );
      const { epoch, before } = rows[0]!;
      const latest = await archivedIn(ctx, epoch);
      if (!latest) return { dropped: [], kept: [], archivedBy: null };
      const { dropped, kept } = await prune(client, {
        before: parseMoment(before),
        archivedTo: parseSnapshot(latest.log.to),
        archivedBy: latest.id,
        seals: ctx,
      });
      return { dropped, kept, archivedBy: latest.id };
    } finally {
      await client.end();
    }
  },
});

/** Snapshots compare only within one life of the database, and a backup without a table has not archived its changes. */
async function archivedIn(ctx: TaskContext, epoch: string): Promise<Manifest | undefined> {
  for (const ref of (await listManifests(ctx.store, { tenant: null })).reverse()) {
    const manifest = await readManifest(ctx, ref);
    if (manifest.excluded.length === 0 && manifest.epoch === epoch) return manifest;
  }
  return undefined;
}

export const handler = lambda(work);
