import * as z from 'zod';
import { verify } from '../../core/history/seal/verify.ts';
import { databaseOf } from '../../core/snapshot/backup.ts';
import { execution } from '../backup/request.ts';
import { lambda, task } from '../task.ts';

/** Holds the trail in the database against its seals. One that was never sealed has nothing to be held against. */
export const work = task({
  input: z.object({ execution }),
  run: async (ctx) => {
    const { trust, store } = ctx;
    const report = await verify({ databaseUrl: databaseOf(ctx), trust, store });
    return { ok: report.ok, faults: report.faultCount, rows: report.rows, sealedAt: report.sealedAt };
  },
});

export const handler = lambda(work);
