import * as z from 'zod';
import { lambda, task } from '../task.ts';
import { kind, snapshot } from './names.ts';

/** Begins the copy in the other region unless it is there, and says how far it is. */
export const work = task({
  input: z.object({ kind, snapshot, source: z.string().startsWith('arn:') }),
  run: async (ctx, { kind, snapshot, source }) => ({ status: await ctx.snapshots.copy(kind, snapshot, source) }),
});

export const handler = lambda(work);
