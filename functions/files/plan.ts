import { nextFileRun, planFileRun } from '../../core/files/steps.ts';
import { databaseOf } from '../../core/snapshot/backup.ts';
import { keep } from '../reference.ts';
import { lambda, task } from '../task.ts';
import { filesStart } from './request.ts';

/** What can be wrong from the outset, and who looks at what. Asked again by the same execution, it finds the run that it began. */
export const work = task({
  input: filesStart,
  run: async (ctx, { execution, request }) => {
    const { tenant, itemFiles } = request;
    const claim = async () => {
      const now = Number(ctx.clock.now() / 1000n);
      return (await keep(ctx.store, execution, 'files', { run: nextFileRun(ctx) }, now)).run;
    };
    const context = { ...ctx, databaseUrl: databaseOf(ctx) };
    const { run, items } = await planFileRun(context, ctx.settings.files, tenant, claim, itemFiles);
    return { execution, request, run: { backup: run, tenant, of: items, items: [...Array(items).keys()] } };
  },
});

export const handler = lambda(work);
