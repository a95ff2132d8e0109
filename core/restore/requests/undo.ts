/** Taking back a restore that was applied by request. */
import type { Context } from '../../context.ts';
import { RestoreError } from '../../errors.ts';
import type { UndoPlan, UndoRequest, UndoResult } from '../undo/types.ts';
import { applyUndo, previewUndo } from '../undo/undo.ts';
import { requireState } from './decide.ts';
import { named, withRequests } from './session.ts';
import { readRequest } from './store.ts';
import type { RestoreRequest } from './types.ts';

export interface UndoOfRequest extends Pick<UndoRequest, 'policy' | 'choices' | 'include' | 'userTriggers'> {
  readonly id: string;
  readonly by: string;
  readonly reason?: string;
  /** Of `previewUndoOfRequest`. */
  readonly fingerprint?: string;
}

/** @throws RestoreError HF_REQUEST_UNKNOWN, HF_REQUEST_STATE; what `previewUndo` throws */
export async function previewUndoOfRequest(
  ctx: Context,
  options: Omit<UndoOfRequest, 'by' | 'reason' | 'fingerprint'>,
): Promise<UndoPlan> {
  const { id, ...choices } = options;
  const request = await withRequests(ctx, (client) => requireState(client, id, ['applied']));
  return previewUndo(ctx, { ...choices, ...scopeOf(request) });
}

/**
 * Undoes what the restore wrote and keeps what was edited since: by default it is refused where the two meet. One person may
 * do this: it returns to what was there before, and cannot take anybody's later work along.
 * @throws RestoreError HF_REQUEST_UNKNOWN, HF_REQUEST_STATE; what `applyUndo` throws
 */
export async function undoRequest(
  ctx: Context,
  options: UndoOfRequest,
): Promise<{ readonly request: RestoreRequest; readonly undo: UndoResult }> {
  const { id, by: given, reason, ...choices } = options;
  const by = named(given);
  return withRequests(ctx, async (client) => {
    const request = await requireState(client, id, ['applied']);
    const undo = await applyUndo(ctx, {
      ...choices,
      ...scopeOf(request),
      actor: { userId: by, userAgent: `holdfast undo of restore request ${id}` },
      beforeCommit: async (undoing, xid) => {
        const { rowCount } = await undoing.query(
          `update holdfast.restore_requests
              set state = 'undone', undone_by = $2, undone_at = clock_timestamp(), undo_reason = $3, undo_xid = $4
            where id = $1 and state = 'applied'`,
          [id, by, reason ?? null, xid],
        );
        if (rowCount !== 1) await requireState(undoing, id, ['applied']);
      },
    });
    return { request: await readRequest(client, id), undo };
  });
}

function scopeOf({ id, tenant, xid }: RestoreRequest): Pick<UndoRequest, 'tenant' | 'scope'> {
  if (xid !== null) return { tenant, scope: { kind: 'transactions', transactions: [xid] } };
  throw new RestoreError(
    'HF_REQUEST_STATE',
    `Restore request ${id} had nothing to write, so there is nothing to undo.`,
    {
      action: 'Nothing has to be done.',
      details: { request: id },
    },
  );
}
