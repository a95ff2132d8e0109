/** Reading requests. */
import { RestoreError } from '../../errors.ts';
import { atSql } from '../../history/moments.ts';
import type { Client } from '../../sql.ts';
import type { RequestState, RestoreRequest } from './types.ts';

const time = (column: string, name: string) => `${atSql(column)} as "${name}"`;

const COLUMNS = `id::text, kind, tenant, source_tenant as "sourceTenant", request, reason, maintenance, plan, fingerprint, state,
  requested_by as "requestedBy", ${time('requested_at', 'requestedAt')}, ${time('expires_at', 'expiresAt')},
  decided_by as "decidedBy", ${time('decided_at', 'decidedAt')}, decision, applied_by as "appliedBy",
  ${time('started_at', 'startedAt')}, ${time('finished_at', 'finishedAt')}, restore_point as "restorePoint", xid::text, error,
  undone_by as "undoneBy", ${time('undone_at', 'undoneAt')}, undo_reason as "undoReason", undo_xid::text as "undoXid"`;

/** @throws RestoreError HF_REQUEST_UNKNOWN */
export async function readRequest(client: Client, id: string): Promise<RestoreRequest> {
  if (/^\d{1,18}$/.test(id)) {
    const { rows } = await client.query<RestoreRequest>(
      `select ${COLUMNS} from holdfast.restore_requests where id = $1`,
      [id],
    );
    if (rows[0]) return Object.freeze(rows[0]);
  }
  throw new RestoreError('HF_REQUEST_UNKNOWN', `There is no restore request ${id}.`, {
    action: 'See holdfast restores list.',
    details: { request: id },
  });
}

/** Newest first. `tenant`: those that write its rows, or copy them. */
export async function listRequests(
  client: Client,
  options: { readonly tenant?: string; readonly states?: readonly RequestState[]; readonly limit?: number } = {},
): Promise<RestoreRequest[]> {
  const { rows } = await client.query<RestoreRequest>(
    `select ${COLUMNS} from holdfast.restore_requests
      where ($1::text is null or $1 in (tenant, source_tenant)) and ($2::text[] is null or state = any ($2))
      order by restore_requests.id desc limit $3`,
    [options.tenant ?? null, options.states ?? null, options.limit ?? 100],
  );
  return rows;
}
