import { writtenObjects } from '../../core/files/checkItem.ts';
import { manifestName } from '../../core/files/names.ts';
import { lambda, task } from '../task.ts';
import { filesItemOf, stepOf } from './request.ts';

/** How far the copy of what this run has written is in the other region. Late is told, and does not keep a run from being one. */
export const work = task({
  input: filesItemOf,
  run: async (ctx, input) => {
    const { backup, tenant, item, of } = input;
    const { manifest, sizes } = await writtenObjects(ctx, { ...stepOf(input), item, of });
    const names = [...sizes.keys(), ...(item === 0 ? [manifestName(tenant, backup)] : [])];
    return { state: await ctx.replicas.state(names, Date.parse(manifest.finishedAt)) };
  },
});

export const handler = lambda(work);
