import { abandonBackup } from '../../core/snapshot/steps.ts';
import { failedState, recordFailure } from '../failure.ts';
import { caughtError, lambda, task } from '../task.ts';

/** The backup that was not completed is marked as failed and lets go of its scope; what it has copied stays for the next run. */
export const work = task({
  input: failedState,
  run: async (ctx, failed) => {
    const backup = await abandonBackup(ctx, failed.execution, caughtError(failed.state.error));
    await recordFailure(ctx, failed, backup ?? null);
    return { backup: backup ?? null };
  },
});

export const handler = lambda(work);
