import { planBackup } from '../../core/snapshot/steps.ts';
import { lambda, task } from '../task.ts';
import { backupStart, optionsOf } from './request.ts';

/** Decides, plans and claims the scope. Asked again by the same execution, it finds what it did, complete or not. */
export const work = task({
  input: backupStart,
  run: (ctx, { execution, request }) => planBackup(ctx, optionsOf(request), execution),
});

export const handler = lambda(work);
