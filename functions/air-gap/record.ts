import { failedState } from '../failure.ts';
import { keep } from '../reference.ts';
import { caughtError, lambda, task } from '../task.ts';

/** There is no catalog where copies are: what failed is kept in the vault itself. */
export const work = task({
  input: failedState,
  run: async (ctx, { workflow, execution, state }) => {
    const failure = { workflow, execution, ...caughtError(state.error) };
    await keep(ctx.store, execution, 'failed', failure, Number(ctx.clock.now() / 1000n));
    return { recorded: true };
  },
});

export const handler = lambda(work);
