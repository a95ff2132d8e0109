import { type CleanupOptions, cleanup } from '../../core/snapshot/cleanup.ts';
import { forgetOld } from '../reference.ts';
import type { TaskContext } from '../task.ts';

/** Longer than Step Functions lets an execution be redriven. */
const NOTES_DAYS = 30;

/** What a state machine is told of a cleanup. */
export interface Expired {
  /** false: the time was over, and there is more to remove. */
  readonly done: boolean;
  /** null: all of them, since nothing is to be removed there. */
  readonly kept: number | null;
  readonly removed: number;
  readonly bytes: number;
  /** Backups that would not go, and manifests that cannot be read. */
  readonly attention: number;
  readonly refused: readonly unknown[];
  readonly damaged: readonly unknown[];
}

/** Removes what this retention gives up, as far as the time allows; what is gone is gone, so a second call goes on. */
export async function removeExpired(
  ctx: TaskContext,
  { daily, weekly, monthly }: { readonly daily: number; readonly weekly: number; readonly monthly: number },
  options: Pick<CleanupOptions, 'tenant' | 'retentionDays' | 'graceHours'>,
): Promise<Expired> {
  const report = await cleanup(ctx, {
    policy: { rules: [{ daily, weekly, monthly }], everyMomentForDays: daily },
    ...options,
    stop: () => ctx.remaining() <= 0,
  });
  if (report.done) await forgetOld(ctx.store, NOTES_DAYS, Number(ctx.clock.now() / 1000n));
  return {
    done: report.done,
    kept: report.keep.length,
    removed: report.remove.length,
    bytes: report.remove.reduce((sum, { bytes }) => sum + bytes, 0),
    attention: report.refused.length + report.damaged.length,
    refused: report.refused.slice(0, 10),
    damaged: report.damaged.slice(0, 10),
  };
}
