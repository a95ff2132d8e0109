import * as z from 'zod';
import { DatabaseError } from '../../core/errors.ts';
import { copyRange, finishBackup, planBackup } from '../../core/snapshot/steps.ts';
import { execution } from '../backup/request.ts';
import { summaryOf } from '../backup/summary.ts';
import { lambda, task } from '../task.ts';

/**
 * The changes since the last backup, in one step. Where there is nothing that they could follow, a full is made instead; if that
 * takes longer than one function may, another attempt goes on with it.
 */
export const work = task({
  input: z.object({ execution, request: z.object({ tenant: z.string().nullable() }) }),
  run: async (ctx, { execution, request: { tenant } }) => {
    const options = { type: 'transaction_log', ...(tenant === null ? {} : { tenant }) } as const;
    const { backup, items, note } = await planBackup(ctx, options, execution);
    const stop = () => ctx.remaining() <= 0;
    for (const chunks of items) {
      const { done } = await copyRange(ctx, { execution, backup, tenant, chunks }, stop);
      if (!done) {
        throw new DatabaseError('HF_STEP_UNFINISHED', `Backup ${backup} needs more time than one step has.`, {
          action: 'Nothing to do: it goes on with the next attempt.',
          details: { backup, note },
        });
      }
    }
    return { ...summaryOf(await finishBackup(ctx, { execution, backup, tenant })), note };
  },
});

export const handler = lambda(work);
