import type { Context } from '../../context.ts';
import { RestoreError } from '../../errors.ts';
import { kindOf } from './kinds.ts';
import { named, withRequests } from './session.ts';
import { readRequest } from './store.ts';
import type { RequestedRestore, RestoreRequest } from './types.ts';

export interface NewRequest {
  readonly restore: RequestedRestore;
  readonly by: string;
  readonly reason: string;
  /** Refuse the application's writes to the tenant while the restore runs. @default false */
  readonly maintenance?: boolean;
  /** Until when it must be decided and applied. @default 86400 */
  readonly expiresInSeconds?: number;
}

/**
 * Previews the restore and stores it with what the preview showed, for another person to decide on.
 * @throws RestoreError HF_REQUEST_BLOCKED when the preview says that it cannot be applied; whatever the preview throws
 */
export async function requestRestore(ctx: Context, request: NewRequest): Promise<RestoreRequest> {
  const { restore, reason, maintenance = false, expiresInSeconds = 86_400 } = request;
  const by = named(request.by);
  const kind = kindOf(restore);
  return withRequests(ctx, async (client) => {
    const { violations, ...plan } = await kind.preview(ctx, restore.request);
    const [first] = violations;
    if (first) {
      throw new RestoreError('HF_REQUEST_BLOCKED', `The restore cannot be applied as it is: ${first.message}`, {
        action: `${first.action} Nothing was requested.`,
        details: { violations },
      });
    }
    const { tenant, source } = kind.tenants(restore.request);
    const { rows } = await client.query(
      `insert into holdfast.restore_requests
         (kind, tenant, source_tenant, request, reason, maintenance, plan, fingerprint, requested_by, expires_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp() + make_interval(secs => $10)) returning id::text`,
      [
        restore.kind,
        tenant,
        source,
        toJson(restore.request),
        reason,
        maintenance,
        toJson(plan),
        plan.fingerprint,
        by,
        expiresInSeconds,
      ],
    );
    return readRequest(client, rows[0].id);
  });
}

/** Transaction ids may be bigints. */
const toJson = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? v.toString() : v));
