import * as z from 'zod';
import { readFileManifest } from '../../core/files/manifest.ts';
import { manifestName } from '../../core/files/names.ts';
import { openStore } from '../../core/snapshot/store.ts';
import { lambda, task } from '../task.ts';
import { filesRun } from './request.ts';

/** From what is best to what is worst. */
const STATES = ['none', 'complete', 'late'] as const;

/** What is told of a run. Which files are missing, the command says: their names may tell of somebody. */
export const work = task({
  input: filesRun.extend({ items: z.array(z.object({ replication: z.enum(STATES) })) }),
  run: async (ctx, { backup, tenant, items }) => {
    const { id } = await openStore(ctx);
    const { startedAt, finishedAt, totals } = await readFileManifest(ctx, manifestName(tenant, backup), id);
    const { gone, unread, unowned: _, ...rest } = totals;
    const worst = Math.max(...items.map(({ replication }) => STATES.indexOf(replication)));
    const attention = gone + unread;
    return { backup, tenant, startedAt, finishedAt, ...rest, gone, unread, attention, replication: STATES[worst] };
  },
});

export const handler = lambda(work);
