import * as z from 'zod';
import { readManifest } from '../../core/snapshot/manifest.ts';
import { manifestName } from '../../core/snapshot/store.ts';
import { lambda, task } from '../task.ts';
import { backupId } from './request.ts';

/** How far the copy in the other region is. Not waiting for ever: late is told, and does not keep a backup from being one. */
export const work = task({
  input: z.object({ backup: backupId }),
  run: async (ctx, { backup }) => {
    const { id, tenant, objects, finishedAt } = await readManifest(ctx, backup);
    const names = [...objects.map(({ name }) => name), manifestName(tenant, id)];
    return { state: await ctx.replicas.state(names, Date.parse(finishedAt)) };
  },
});

export const handler = lambda(work);
