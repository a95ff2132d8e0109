import { finishFileRun } from '../../core/files/steps.ts';
import { databaseOf } from '../../core/snapshot/backup.ts';
import { lambda, task } from '../task.ts';
import { filesRun, stepOf } from './request.ts';

/** Writes the manifest: the moment the run exists. A second call finds it, or one of the same scope that began later and ended first. */
export const work = task({
  input: filesRun,
  run: async (ctx, input) => {
    const { id, tenant } = await finishFileRun({ ...ctx, databaseUrl: databaseOf(ctx) }, stepOf(input));
    return { backup: id, tenant };
  },
});

export const handler = lambda(work);
