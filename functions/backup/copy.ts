import * as z from 'zod';
import { copyRange } from '../../core/snapshot/steps.ts';
import { lambda, task } from '../task.ts';
import { backupId, execution } from './request.ts';

/** Copies chunks until they are done or the time is nearly over. A chunk that is there is not copied again. */
export const work = task({
  input: z.object({
    execution,
    backup: backupId,
    tenant: z.string().nullable(),
    chunks: z.string().regex(/^[1-9]\d*-[1-9]\d*$/, 'not a range of chunks, such as 1-8'),
  }),
  run: (ctx, step) => copyRange(ctx, step, () => ctx.remaining() <= 0),
});

export const handler = lambda(work);
