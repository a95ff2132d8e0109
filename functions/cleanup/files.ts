import * as z from 'zod';
import { cleanUpFiles } from '../../core/files/cleanup.ts';
import { databaseOf } from '../../core/snapshot/backup.ts';
import { execution } from '../backup/request.ts';
import { lambda, task } from '../task.ts';

/** Runs of users' files that retention gives up, and contents that no run names any more, as far as the time allows. */
export const work = task({
  input: z.object({ execution, request: z.looseObject({ tenant: z.string().nullable() }) }),
  run: async (ctx, { request }) => {
    // What one tenant's runs name, those of all may name too: the sweep is of the whole store or not at all.
    if (request.tenant !== null) return { done: true, kept: 0, removed: 0, objects: 0, bytes: 0, attention: 0 };
    const { daily, weekly, monthly } = ctx.settings.retention;
    const { done, keep, remove, objects, bytes, refused } = await cleanUpFiles(
      { ...ctx, databaseUrl: databaseOf(ctx) },
      { rules: [{ daily, weekly, monthly }], everyMomentForDays: daily },
      { stop: () => ctx.remaining() <= 0 },
    );
    return { done, kept: keep.length, removed: remove.length, objects, bytes, attention: refused.length };
  },
});

export const handler = lambda(work);
