import * as z from 'zod';
import { cleanup } from '../../core/snapshot/cleanup.ts';
import { execution } from '../backup/request.ts';
import { forgetOld } from '../reference.ts';
import { lambda, task } from '../task.ts';

/** Longer than Step Functions lets an execution be redriven. */
const NOTES_DAYS = 30;

const request = z.strictObject({
  /** null: every scope */
  tenant: z.string().min(1).nullable().default(null),
  /** Instead of the retention of holdfast.yaml. */
  retentionDays: z.int().min(1).nullable().default(null),
});

/** Removes what retention gives up, as far as the time allows; what is gone is gone, so a second call goes on. */
export const work = task({
  input: z.object({ execution, request }),
  run: async (ctx, { execution, request }) => {
    const { daily, weekly, monthly } = ctx.settings.retention;
    const report = await cleanup(ctx, {
      policy: { rules: [{ daily, weekly, monthly }], everyMomentForDays: daily },
      ...(request.tenant === null ? {} : { tenant: request.tenant }),
      ...(request.retentionDays === null ? {} : { retentionDays: request.retentionDays }),
      stop: () => ctx.remaining() <= 0,
    });
    if (report.done) await forgetOld(ctx.store, NOTES_DAYS, Number(ctx.clock.now() / 1000n));
    return {
      execution,
      request,
      report: {
        done: report.done,
        kept: report.keep.length,
        removed: report.remove.length,
        bytes: report.remove.reduce((sum, { bytes }) => sum + bytes, 0),
        attention: report.refused.length + report.damaged.length,
        refused: report.refused.slice(0, 10),
        damaged: report.damaged.slice(0, 10),
      },
    };
  },
});

export const handler = lambda(work);
