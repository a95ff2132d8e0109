import * as z from 'zod';
import { finishBackup } from '../../core/snapshot/steps.ts';
import { lambda, task } from '../task.ts';
import { backupId, execution } from './request.ts';
import { summaryOf } from './summary.ts';

/** Log, schema, manifest, catalog. The manifest is the moment the backup exists; a second call finds it. */
export const work = task({
  input: z.object({ execution, run: z.object({ backup: backupId, tenant: z.string().nullable() }) }),
  run: async (ctx, { execution, run }) =>
    summaryOf(await finishBackup(ctx, { execution, backup: run.backup, tenant: run.tenant })),
});

export const handler = lambda(work);
