import * as z from 'zod';
import { readManifest } from '../../core/snapshot/manifest.ts';
import { lambda, task } from '../task.ts';
import { backupId, execution } from './request.ts';
import { summaryOf } from './summary.ts';

/** What is told of a backup that is complete, whichever execution completed it. */
export const work = task({
  input: z.object({ execution, backup: backupId, note: z.string().nullable(), replication: z.string() }),
  run: async (ctx, { backup, note, replication }) => ({
    ...summaryOf(await readManifest(ctx, backup)),
    note,
    replication,
  }),
});

export const handler = lambda(work);
