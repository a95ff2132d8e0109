import * as z from 'zod';
import { DatabaseError, isCode } from '../../core/errors.ts';
import { applyRequest } from '../../core/restore/requests/apply.ts';
import { withRequests } from '../../core/restore/requests/session.ts';
import { readRequest } from '../../core/restore/requests/store.ts';
import type { RestoreRequest } from '../../core/restore/requests/types.ts';
import { execution } from '../backup/request.ts';
import { lambda, type TaskContext, task } from '../task.ts';
import { restoreOf } from './restore.ts';

/** Applies what was approved. The request is marked in the same transaction, so a second call finds whether the first one did. */
export const work = task({
  input: z.object({ execution, id: z.string() }),
  run: async (ctx, { id }) => {
    const request = await read(ctx, id);
    if (request.state === 'applied') return restoreOf(request);
    try {
      return restoreOf(await applyRequest(ctx, { id, by: request.requestedBy }));
    } catch (error) {
      if (!isCode(error, 'HF_REQUEST_STATE')) throw error;
      // Another run has it, or had it between the two looks.
      const now = await read(ctx, id);
      if (now.state === 'applied') return restoreOf(now);
      throw now.state === 'running' ? busy(id) : error;
    }
  },
});

const read = (ctx: TaskContext, id: string): Promise<RestoreRequest> =>
  withRequests(ctx, (client) => readRequest(client, id));

const busy = (id: string) =>
  new DatabaseError('HF_RESTORE_BUSY', `Restore request ${id} is being applied by another run.`, {
    action: 'Wait until it has ended.',
    details: { request: id },
  });

export const handler = lambda(work);
