/** What stands in the way of an undo, told before anything is written. */
import { RestoreError } from '../../errors.ts';
import type { Counts } from '../statement.ts';
import { requireRecords } from './found.ts';
import type { Run } from './run.ts';
import type { Violation } from './types.ts';

/** What was asked must make sense of what was found, before anything is written. */
export async function checkRequest(run: Run): Promise<void> {
  run.decisions.checkUsed();
  await requireRecords(run.client, run.selection, run.seen, run.facts, run.scope);
}

/** What is staged against what was planned from the trail: a difference means that the trail does not tell all. */
export function checkCounts(run: Run, counts: readonly (readonly [string, Counts])[]): void {
  const text = (tables: Record<string, Counts>) =>
    JSON.stringify(Object.entries(tables).sort(([a], [b]) => (a < b ? -1 : 1)));
  const staged = Object.fromEntries(counts.filter(([, c]) => c.inserted + c.updated + c.deleted > 0));
  if (text(staged) === text(run.planned.tables)) return;
  throw new RestoreError('HF_RESTORE_DIFFERS', 'The rows that are there are not those that the trail tells of.', {
    action: 'Run "holdfast doctor": changes were made past the triggers. Restore from a backup instead.',
    details: { trail: run.planned.tables, live: staged },
  });
}

/** @throws RestoreError HF_PLAN_STALE, HF_UNDO_CONFLICT, HF_UNDO_OTHERS, HF_UNDO_NEEDS, before anything is written */
export function checkPlan(run: Run, violations: readonly Violation[]): void {
  if (run.preview) return;
  const { fingerprint } = run.request;
  const mark = run.planned.fingerprint();
  if (fingerprint !== undefined && fingerprint !== mark) {
    throw new RestoreError('HF_PLAN_STALE', 'What the undo would do is no longer what was previewed.', {
      action: 'Preview again, look at what changed, and pass the new fingerprint.',
      details: { expected: fingerprint, got: mark },
    });
  }
  const first = [...violationsOf(run), ...othersUnseen(run), ...violations][0];
  if (first) throw new RestoreError(first.code, first.message, { action: first.action, details: first.details });
}

/** Conflicts on which nothing has been decided. */
export function violationsOf(run: Run): Violation[] {
  const { undecided, listed } = run.decisions;
  if (undecided === 0) return [];
  const open = listed.filter((c) => c.take === null).slice(0, 20);
  const one = open[0]!;
  const where = `${one.table} ${one.record}${one.column ? `, ${one.column}` : ''}`;
  return [
    {
      code: 'HF_UNDO_CONFLICT',
      message: `${undecided} later ${undecided === 1 ? 'edit stands' : 'edits stand'} in the way, such as that of ${where} by ${one.by[0]?.userId ?? 'someone unnamed'}.`,
      action:
        'Preview it, then pass the policy skip (they stay) or force (they are taken back), or choose for each field.',
      details: { conflicts: open, count: undecided },
    },
  ];
}

/**
 * Going back to a moment takes back what everybody did since. Where that is more than one person's work, it must have been seen: in
 * a preview whose fingerprint is passed, or by saying force.
 */
function othersUnseen(run: Run): Violation[] {
  const { request, planned, selection } = run;
  if (selection.others || request.policy === 'force' || request.fingerprint !== undefined || planned.people < 2)
    return [];
  return [
    {
      code: 'HF_UNDO_OTHERS',
      message: `Changes of ${planned.people} people since then would be taken back.`,
      action: 'Preview it, see whose they are, and pass the fingerprint; or pass the policy force.',
      details: { authors: planned.authors },
    },
  ];
}
