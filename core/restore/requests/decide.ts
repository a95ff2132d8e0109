import type { Context } from '../../context.ts';
import { RestoreError } from '../../errors.ts';
import type { Client } from '../../sql.ts';
import { named, withRequests } from './session.ts';
import { readRequest } from './store.ts';
import type { RequestState, RestoreRequest } from './types.ts';

export interface Decision {
  readonly id: string;
  readonly by: string;
  readonly reason?: string;
  /** What the approver saw; refused when it is not that of the request. */
  readonly fingerprint?: string;
}

/**
 * Approves what was previewed, and nothing else: the fingerprint of the request.
 * @throws RestoreError HF_FOUR_EYES, HF_REQUEST_UNKNOWN, HF_REQUEST_STATE, HF_REQUEST_EXPIRED, HF_PLAN_STALE
 */
export async function approveRequest(ctx: Context, decision: Decision): Promise<RestoreRequest> {
  return withRequests(ctx, async (client) => {
    const by = named(decision.by);
    const request = await requireState(client, decision.id, ['requested']);
    if (same(by, request.requestedBy)) {
      throw new RestoreError('HF_FOUR_EYES', `${by} asked for this restore and cannot approve it as well.`, {
        action: 'Let another person look at it and approve it.',
        details: { request: request.id, requestedBy: request.requestedBy },
      });
    }
    if (decision.fingerprint !== undefined && decision.fingerprint !== request.fingerprint) {
      throw new RestoreError('HF_PLAN_STALE', 'That is not the fingerprint of this request.', {
        action: `Look at it again with: holdfast restores show ${request.id}.`,
        details: { expected: request.fingerprint, got: decision.fingerprint },
      });
    }
    return decide(client, request, 'approved', by, decision.reason);
  });
}

/**
 * Also for the one who asked, who may think better of it, and of what was approved already.
 * @throws RestoreError HF_REQUEST_UNKNOWN, HF_REQUEST_STATE, HF_REQUEST_EXPIRED
 */
export async function rejectRequest(ctx: Context, decision: Decision): Promise<RestoreRequest> {
  return withRequests(ctx, async (client) => {
    const request = await requireState(client, decision.id, ['requested', 'approved']);
    return decide(client, request, 'rejected', named(decision.by), decision.reason);
  });
}

async function decide(client: Client, request: RestoreRequest, state: RequestState, by: string, reason?: string) {
  const { rowCount } = await client.query(
    `update holdfast.restore_requests
        set state = $3, decided_by = $4, decided_at = clock_timestamp(), decision = $5,
            finished_at = case when $3 = 'rejected' then clock_timestamp() end
      where id = $1 and state = $2`,
    [request.id, request.state, state, by, reason ?? null],
  );
  const now = await readRequest(client, request.id);
  if (rowCount === 0) throw wrongState(now, [request.state]);
  return now;
}

/** @throws RestoreError HF_REQUEST_UNKNOWN, HF_REQUEST_EXPIRED, HF_REQUEST_STATE */
export async function requireState(
  client: Client,
  id: string,
  states: readonly RequestState[],
): Promise<RestoreRequest> {
  const request = await readRequest(client, id);
  if (states.includes(request.state)) return request;
  throw wrongState(request, states);
}

export function wrongState(request: RestoreRequest, states: readonly RequestState[]): RestoreError {
  const { id, state } = request;
  const details = { request: id, state, expected: states };
  if (state === 'expired') {
    return new RestoreError('HF_REQUEST_EXPIRED', `Restore request ${id} expired at ${request.expiresAt}.`, {
      action: 'Ask again: what it would do may have changed since.',
      details,
    });
  }
  return new RestoreError('HF_REQUEST_STATE', `Restore request ${id} is ${state}, not ${states.join(' or ')}.`, {
    action: NEXT[state],
    details,
  });
}

const NEXT: Readonly<Record<RequestState, string>> = {
  requested: 'Another person than the one who asked must approve it first: holdfast restores approve.',
  approved: 'It waits to be applied: holdfast restores apply.',
  rejected: 'Ask again if it is needed after all.',
  expired: 'Ask again: what it would do may have changed since.',
  running: 'Wait until it has ended; holdfast restores show tells.',
  applied: 'It is done. To take it back: holdfast restores undo.',
  undone: 'It was applied and taken back. Ask again if it is needed after all.',
  failed: 'Nothing was changed; holdfast restores show tells why. Ask again.',
};

const same = (a: string, b: string): boolean => a.trim().toLowerCase() === b.trim().toLowerCase();
