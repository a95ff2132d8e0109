import * as z from 'zod';
import { DatabaseError } from '../../core/errors.ts';
import { applyRequest } from '../../core/restore/requests/apply.ts';
import { withRequests } from '../../core/restore/requests/session.ts';
import { readRequest } from '../../core/restore/requests/store.ts';
import { execution } from '../backup/request.ts';
import { lambda, task } from '../task.ts';
import { restoreOf } from './restore.ts';

/** Applies what was approved. The request is marked in the same transaction, so a second call finds whether the first one did. */
export const work = task({
  once: true,
  input: z.object({ execution, id: z.string() }),
  run: async (ctx, { id }) => {
    const request = await withRequests(ctx, (client) => readRequest(client, id));
    if (request.state === 'applied') return restoreOf(request);
    if (request.state === 'running') {
      throw new DatabaseError('HF_RESTORE_BUSY', `Restore request ${id} is being applied by another run.`, {
        action: 'Wait until it has ended.',
        details: { request: id },
      });
    }
    return restoreOf(await applyRequest(ctx, { id, by: request.requestedBy }));
  },
});

export const handler = lambda(work);
