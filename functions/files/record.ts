import * as z from 'zod';
import { failedState, recordFailure } from '../failure.ts';
import { lambda, task } from '../task.ts';
import { filesRun } from './request.ts';

/** Keeps what failed with the run that it was about; what that has read stays for the next one. */
export const work = task({
  input: failedState,
  run: async (ctx, failed) => {
    const { data } = z.object({ run: filesRun }).safeParse(failed.state);
    await recordFailure(ctx, failed, data?.run.backup ?? null);
    return { backup: data?.run.backup ?? null };
  },
});

export const handler = lambda(work);
