/**
 * Undoing what was done: a field, a record, a session, one person's changes, a table or a tenant to a moment. Three ways per
 * field, so that what others did later stays; in one transaction, so that it is done whole or not at all.
 */
import { describeError, logStep } from '../../catalog/record.ts';
import type { Context } from '../../context.ts';
import { DatabaseError, RestoreError } from '../../errors.ts';
import { withRetries } from '../../retry.ts';
import { explain } from '../conflicts.ts';
import { attemptUndo } from './attempt.ts';
import { Desk } from './desk.ts';
import { requireSubject } from './found.ts';
import { select } from './scope.ts';
import { SchemaMoved } from './stamps.ts';
import type { ApplyRequest, UndoPlan, UndoRequest, UndoResult } from './types.ts';

/**
 * Runs the real statements and rolls them back. What is in the way is in `violations` and `conflicts`; only a request that
 * cannot be understood throws.
 * @throws ConfigError HF_TABLE_UNKNOWN, HF_COLUMN_UNKNOWN, HF_KEY_INVALID, HF_CHOICE_INVALID, HF_TRANSACTION_INVALID, HF_TIME_INVALID;
 * RestoreError HF_TENANT_UNKNOWN, HF_SESSION_UNKNOWN, HF_RECORD_UNKNOWN, HF_TABLE_SHARED, HF_NO_KEY, HF_SCHEMA_CHANGED, HF_TIME_…
 */
export async function previewUndo(ctx: Context, request: UndoRequest): Promise<UndoPlan> {
  return withDesk(ctx, (desk) => previewAt(desk, request));
}

/**
 * Does it, or changes nothing. With `fingerprint`, of a preview: exactly what was previewed, or nothing.
 * @throws what `previewUndo` throws; RestoreError HF_PLAN_STALE, HF_UNDO_CONFLICT, HF_UNDO_OTHERS, HF_UNDO_NEEDS,
 * HF_RESTORE_CONFLICT, HF_RESTORE_FOREIGN, HF_RESTORE_DIFFERS; DatabaseError HF_RESTORE_BUSY
 */
export async function applyUndo(ctx: Context, request: ApplyRequest): Promise<UndoResult> {
  return withDesk(ctx, (desk) => applyAt(desk, request));
}

/** The same on a desk that stays open. */
export async function previewAt(desk: Desk, request: UndoRequest): Promise<UndoPlan> {
  const { restorePoint: _, xid: __, ...plan } = await run(desk, request, true);
  return Object.freeze(plan);
}

export async function applyAt(desk: Desk, request: ApplyRequest): Promise<UndoResult> {
  try {
    return await run(desk, request, false);
  } catch (error) {
    // An attempt across tenants is a security event; the auditor finds it, and every other refusal, in the log.
    await logStep(desk.client, {
      backup: null,
      tenant: request.tenant,
      step: 'undo',
      result: error instanceof RestoreError ? 'refused' : 'failed',
      detail: {
        ...describeError(error),
        security: error instanceof RestoreError && error.code === 'HF_RESTORE_FOREIGN',
      },
    }).catch(() => {}); // with the connection gone nothing can be recorded, and the first error is the one to report
    throw error;
  }
}

async function run(desk: Desk, request: ApplyRequest, preview: boolean): Promise<UndoResult> {
  for (let reloads = 0; ; ) {
    const facts = await desk.facts();
    try {
      const selection = await select(desk.client, facts.bound, request.tenant, request.scope);
      const result = await withRetries(() => attemptUndo({ desk, facts, request, selection, preview }));
      if (result.authors.length === 0) await requireSubject(desk.client, facts, request);
      return result;
    } catch (error) {
      if (!(error instanceof SchemaMoved)) throw explain(error);
      desk.forget();
      reloads += 1;
      if (reloads > 3) {
        throw new DatabaseError('HF_RESTORE_BUSY', 'The schema changed again and again while the undo ran.', {
          action: 'Nothing was changed. Try again when the migration is over.',
        });
      }
    }
  }
}

async function withDesk<T>(ctx: Context, work: (desk: Desk) => Promise<T>): Promise<T> {
  if (!ctx.databaseUrl) {
    throw new RestoreError('HF_DATABASE_URL', 'An undo works in a live database, and none was named.', {
      action: 'Pass --database-url.',
    });
  }
  const desk = await Desk.open(ctx.databaseUrl, ctx.map);
  try {
    return await work(desk);
  } finally {
    await desk.close();
  }
}
