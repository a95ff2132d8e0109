import * as z from 'zod';
import { requestRestore } from '../../core/restore/requests/create.ts';
import { withRequests } from '../../core/restore/requests/session.ts';
import { listRequests, readRequest } from '../../core/restore/requests/store.ts';
import type { RequestedRestore, RestoreRequest } from '../../core/restore/requests/types.ts';
import { execution } from '../backup/request.ts';
import { lambda, type TaskContext, task } from '../task.ts';
import { restoreOf } from './restore.ts';

const newRequest = z.strictObject({
  kind: z.enum(['tenant', 'undo', 'transfer']),
  /** As the core takes it for this kind; it checks it. */
  request: z.looseObject({}),
  by: z.string().min(1),
  reason: z.string().min(1),
  maintenance: z.boolean().default(false),
});
const existing = z.strictObject({ id: z.string().regex(/^\d{1,18}$/, 'not the number of a restore request') });

/** Reads the request that is named, or makes one, with its preview, for another person to approve. */
export const work = task({
  input: z.object({ execution, request: z.union([existing, newRequest]) }),
  run: async (ctx, { execution, request }) => {
    const found =
      'id' in request
        ? await withRequests(ctx, (client) => readRequest(client, request.id))
        : ((await madeBy(ctx, execution)) ?? (await make(ctx, execution, request)));
    return { execution, restore: restoreOf(found) };
  },
});

/** The reason names the execution, so that a second attempt finds what the first one requested. */
const mark = (execution: string): string => `(workflow execution ${execution})`;

async function madeBy(ctx: TaskContext, execution: string): Promise<RestoreRequest | undefined> {
  const recent = await withRequests(ctx, (client) => listRequests(client, { limit: 1000 }));
  return recent.find(({ reason }) => reason.endsWith(mark(execution)));
}

function make(ctx: TaskContext, execution: string, request: z.infer<typeof newRequest>): Promise<RestoreRequest> {
  const { kind, by, maintenance } = request;
  const restore = { kind, request: request.request } as unknown as RequestedRestore;
  return requestRestore(ctx, { restore, by, maintenance, reason: `${request.reason} ${mark(execution)}` });
}

export const handler = lambda(work);
