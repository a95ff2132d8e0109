/** What an undo tells of itself. */
import { formatMoment } from '../../moment.ts';
import { NOTHING } from './kept.ts';
import type { Attempt, Run, Written } from './run.ts';
import type { UndoPlan, UndoResult } from './types.ts';

/** What was asked for, as far as it decides what is done. */
export const subjectOf = ({ request, selection }: Attempt) => [
  request.tenant,
  {
    ...request.scope,
    ...('transactions' in request.scope ? { transactions: request.scope.transactions.map(String) } : {}),
  },
  selection.cut ? formatMoment(selection.cut.moment) : null,
  request.userTriggers ?? 'suspend',
];

/** As of a preview: what an undo that is kept leaves behind is added by who keeps it. */
export function resultOf(run: Run, written: Written): UndoResult {
  const { request, selection, planned, decisions } = run;
  const plan: UndoPlan = {
    tenant: request.tenant,
    scope: subjectOf(run)[1] as UndoPlan['scope'],
    moment: selection.cut ? formatMoment(selection.cut.moment) : null,
    policy: request.policy ?? 'refuse',
    fingerprint: planned.fingerprint(),
    tables: planned.tables,
    totals: planned.totals,
    rows: planned.rows,
    rowsNotShown: planned.rowCount - planned.rows.length,
    conflicts: decisions.listed,
    conflictCount: decisions.count,
    stamped: decisions.stamped,
    offers: written.offers,
    violations: written.violations,
    authors: planned.authors,
    suspended: written.suspended,
  };
  return Object.freeze({ ...plan, ...NOTHING });
}
