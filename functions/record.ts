import { failedState, recordFailure } from './failure.ts';
import { lambda, task } from './task.ts';

/** Keeps in the catalog what failed, and why. */
export const work = task({
  input: failedState,
  run: async (ctx, failed) => {
    await recordFailure(ctx, failed, null);
    return { recorded: true };
  },
});

export const handler = lambda(work);
