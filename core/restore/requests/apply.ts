/** Runs an approved request. */
import { randomUUID } from 'node:crypto';
import { describeError } from '../../catalog/record.ts';
import type { Context } from '../../context.ts';
import { HoldfastError, RestoreError } from '../../errors.ts';
import { explain } from '../../explain.ts';
import type { Client } from '../../sql.ts';
import { requireState, wrongState } from './decide.ts';
import { kindOf } from './kinds.ts';
import { beginMaintenance, endMaintenance, listMaintenance, renewMaintenance } from './maintenance.ts';
import { named, withRequests } from './session.ts';
import { holdRequest, letGoOfRequest } from './settle.ts';
import { readRequest } from './store.ts';
import type { RequestedRestore, RestoreRequest } from './types.ts';
import { verifyAgainstPlan } from './verify.ts';

/** Seconds that maintenance goes on when the run that asked for it is gone, and how often it is renewed. */
const LEASE = 30;
const HEARTBEAT_MS = 10_000;

export interface ApplyOptions {
  readonly id: string;
  readonly by: string;
  /** Milliseconds to wait for transactions that were writing when maintenance began. @default 10000 */
  readonly wait?: number;
}

/**
 * Does exactly what was approved. The request becomes applied in the very transaction that writes, so it says so if, and only
 * if, the rows are written. Whatever goes wrong, nothing was changed and the request has failed; a tenant that another restore
 * is writing leaves it approved.
 * @throws RestoreError HF_REQUEST_UNKNOWN, HF_REQUEST_STATE, HF_REQUEST_EXPIRED, HF_PLAN_STALE, HF_RESTORE_…, HF_UNDO_…, HF_TRANSFER_…;
 * DatabaseError HF_RESTORE_BUSY, HF_MAINTENANCE_ON
 */
export async function applyRequest(ctx: Context, options: ApplyOptions): Promise<RestoreRequest> {
  const by = named(options.by);
  return withRequests(ctx, async (client) => {
    const { id } = await requireState(client, options.id, ['approved']);
    if (!(await holdRequest(client, id))) throw wrongState(await readRequest(client, id), ['approved']);
    try {
      // Again, now that nobody else can begin it.
      const request = await requireState(client, id, ['approved']);
      return await run(ctx, client, request, { by, wait: options.wait ?? 10_000 });
    } finally {
      await letGoOfRequest(client, id).catch(() => {}); // with the connection the lock went too
    }
  });
}

async function run(
  ctx: Context,
  client: Client,
  request: RestoreRequest,
  { by, wait }: { readonly by: string; readonly wait: number },
): Promise<RestoreRequest> {
  const { id, tenant, fingerprint } = request;
  const attempt = randomUUID();
  await client.query(
    `update holdfast.restore_requests set state = 'running', applied_by = $2, attempt = $3, started_at = clock_timestamp()
      where id = $1 and state = 'approved'`,
    [id, by, attempt],
  );
  try {
    const restore = { kind: request.kind, request: request.request } as RequestedRestore;
    const done = await inMaintenance(client, request, by, wait, () =>
      kindOf(restore).apply(ctx, restore.request, {
        fingerprint,
        actor: { userId: by, userAgent: `holdfast restore request ${id}` },
        beforeCommit: async (restoring, xid) => {
          await verifyAgainstPlan(restoring, tenant, request.plan.tables);
          await markApplied(restoring, { id, attempt, xid });
        },
      }),
    );
    await client.query('update holdfast.restore_requests set restore_point = $2 where id = $1', [
      id,
      done.restorePoint,
    ]);
    return await readRequest(client, id);
  } catch (error) {
    await markFailed(client, { id, attempt }, error);
    throw error;
  }
}

/** In the restore's transaction. A run that was given up for dead in between must not commit. */
async function markApplied(client: Client, run: { id: string; attempt: string; xid: string | null }): Promise<void> {
  const { rowCount } = await client.query(
    `update holdfast.restore_requests set state = 'applied', finished_at = clock_timestamp(), xid = $3
      where id = $1 and attempt = $2 and state = 'running'`,
    [run.id, run.attempt, run.xid],
  );
  if (rowCount === 1) return;
  throw new RestoreError('HF_REQUEST_STATE', `Restore request ${run.id} was given up while it ran. Nothing was kept.`, {
    action: 'Its connection was lost. Request the restore again.',
    details: { request: run.id },
  });
}

async function markFailed(client: Client, run: { id: string; attempt: string }, error: unknown): Promise<void> {
  const known = explain(error) ?? error;
  const busy = known instanceof HoldfastError && ['HF_RESTORE_BUSY', 'HF_MAINTENANCE_ON'].includes(known.code);
  await client
    .query(
      `update holdfast.restore_requests set state = $3, finished_at = case when $3 = 'failed' then clock_timestamp() end, error = $4
        where id = $1 and attempt = $2 and state = 'running'`,
      [run.id, run.attempt, busy ? 'approved' : 'failed', busy ? null : JSON.stringify(describeError(known))],
    )
    .catch(() => {}); // with the connection gone the next look settles it, and the first error is the one to report
}

/** Keeps the tenant in maintenance while `work` runs, where that was asked for. A lease that is lost is not taken again. */
async function inMaintenance<T>(
  client: Client,
  request: RestoreRequest,
  by: string,
  wait: number,
  work: () => Promise<T>,
): Promise<T> {
  const { id, tenant, maintenance } = request;
  if (!maintenance) return work();
  const [on] = await listMaintenance(client, tenant);
  // Somebody has put the tenant into maintenance by hand: they will end it.
  if (on && on.request === null) return work();
  const reason = `restore request ${id}`;
  await beginMaintenance(client, { tenant, by, reason, seconds: LEASE, request: id, wait });
  const heartbeat = setInterval(() => {
    renewMaintenance(client, tenant, LEASE).catch(() => {}); // the lease then ends by itself
  }, HEARTBEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    await endMaintenance(client, tenant, by).catch(() => {}); // the same; the work's own error is the one to report
  }
}
