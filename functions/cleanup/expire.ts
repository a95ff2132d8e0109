import * as z from 'zod';
import { execution } from '../backup/request.ts';
import { lambda, task } from '../task.ts';
import { removeExpired } from './removeExpired.ts';

const request = z.strictObject({
  /** null: every scope */
  tenant: z.string().min(1).nullable().default(null),
  /** Instead of the retention of holdfast.yaml. */
  retentionDays: z.int().min(1).nullable().default(null),
});

/** In the primary location, which the catalog tells of. */
export const work = task({
  input: z.object({ execution, request }),
  run: async (ctx, { execution, request }) => {
    const report = await removeExpired(ctx, ctx.settings.retention, {
      ...(request.tenant === null ? {} : { tenant: request.tenant }),
      ...(request.retentionDays === null ? {} : { retentionDays: request.retentionDays }),
    });
    return { execution, request, report };
  },
});

export const handler = lambda(work);
