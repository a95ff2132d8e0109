import * as z from 'zod';
import { keyStates } from '../../core/keys/ages.ts';
import { execution } from '../backup/request.ts';
import { lambda, task } from '../task.ts';

/** Keys that are due to be changed, for the message that reminds people of them. */
export const work = task({
  input: z.object({ execution }),
  run: async (ctx) => {
    const due = (await keyStates(ctx.keys, ctx.clock.now())).filter((state) => state.due);
    return {
      due: due.length,
      keys: due.map(({ keyId, use, since, days, action }) => ({ keyId, use, since, days, action })),
    };
  },
});

export const handler = lambda(work);
