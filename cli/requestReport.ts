/** Restore requests for a person: a list, and one with its path drawn. */

import type { RowSample } from '../core/restore/preview.ts';
import type { RestoreRequest, RestoreTo, TransferArguments, UndoArguments } from '../core/restore/requests/types.ts';
import { bold, clip, dim, green, printable, red, table, yellow } from './output.ts';
import { rowSamples } from './rowSamples.ts';

interface Step {
  readonly mark: string;
  readonly title: string;
  readonly by: string | null;
  readonly at: string | null;
  readonly paint: (text: string) => string;
}

const done = (title: string, by: string | null, at: string | null, paint = green): Step => ({
  mark: '●',
  title,
  by,
  at,
  paint,
});
const open = (title: string): Step => ({ mark: '○', title, by: null, at: null, paint: dim });
const plain = (text: string) => text;

function steps(r: RestoreRequest): Step[] {
  const asked = done('requested', r.requestedBy, r.requestedAt);
  const approved = done('approved', r.decidedBy, r.decidedAt);
  switch (r.state) {
    case 'requested':
      return [asked, open('approved'), open('applied')];
    case 'approved':
      return [asked, approved, open('applied')];
    case 'rejected':
      return [asked, done('rejected', r.decidedBy, r.decidedAt, red)];
    case 'expired':
      return [asked, ...(r.decidedBy ? [approved] : []), done('expired', null, r.expiresAt, yellow)];
    case 'running':
      return [asked, approved, done('running', r.appliedBy, r.startedAt, yellow)];
    case 'failed':
      return [asked, approved, done('failed', r.appliedBy, r.finishedAt, red)];
    default: {
      const applied = done('applied', r.appliedBy, r.finishedAt);
      return [
        asked,
        approved,
        applied,
        ...(r.state === 'undone' ? [done('undone', r.undoneBy, r.undoneAt, yellow)] : []),
      ];
    }
  }
}

/** `●─●─○ approved` */
function path(request: RestoreRequest): string {
  return `${steps(request)
    .map((s) => s.mark)
    .join('─')} ${request.state}`;
}

/** Four lines: the path, what each step is, who took it, when. */
function timeline(request: RestoreRequest): string {
  const all = steps(request);
  const cells = all.map((s) => [s.title, s.by ?? '', s.at ? short(s.at) : '']);
  const widths = cells.map((lines) => Math.max(...lines.map((line) => clip(line, 24).length)) + 3);
  const line = (pick: (step: Step, i: number) => string, paint: (step: Step) => (text: string) => string) =>
    all
      .map((s, i) => paint(s)(pick(s, i).padEnd(widths[i]!)))
      .join('')
      .trimEnd();
  return [
    all.map((s, i) => s.paint(s.mark) + (i < all.length - 1 ? dim('─'.repeat(widths[i]! - 1)) : '')).join(''),
    line(
      (s) => s.title,
      (s) => s.paint,
    ),
    line(
      (_, i) => clip(cells[i]![1]!, 24),
      () => plain,
    ),
    line(
      (_, i) => cells[i]![2]!,
      () => dim,
    ),
  ]
    .map((text) => `  ${text}`)
    .join('\n');
}

const short = (iso: string): string => iso.replace('T', ' ').replace(/\.\d+Z$/, 'Z');

/** What is restored, in a few words. */
function subject(r: RestoreRequest): string {
  if (r.kind === 'undo') return undoSubject(r.request as UndoArguments);
  if (r.kind === 'transfer') {
    const { from, to, tables } = r.request as TransferArguments;
    const what = tables ? tables.join(', ') : 'rows';
    return `${what} of tenant ${from}${to ? ` ${target(to)}` : ''}, copied`;
  }
  return `whole tenant ${target((r.request as { to: RestoreTo }).to)}`;
}

function target(to: RestoreTo): string {
  if ('time' in to) return `to ${to.time}`;
  return 'point' in to ? `to restore point "${to.point}"` : `to backup ${to.backup}`;
}

function undoSubject({ scope }: UndoArguments): string {
  switch (scope.kind) {
    case 'session':
      return `undo of session ${scope.session}`;
    case 'user':
      return `undo of ${scope.user} since ${'time' in scope.since ? scope.since.time : scope.since.point}`;
    case 'transactions':
      return `undo of transaction ${scope.transactions.join(', ')}`;
    case 'records':
      return `${scope.records.length === 1 ? `record ${scope.records[0]!.join(', ')}` : `${scope.records.length} records`} of ${scope.table} ${target(scope.to)}`;
    case 'table':
      return `table ${scope.table} ${target(scope.to)}`;
    default:
      return `whole tenant ${target(scope.to)}`;
  }
}

export function requestList(requests: readonly RestoreRequest[]): string {
  if (requests.length === 0) return 'No restore has been requested.';
  return table(
    ['id', 'state', 'tenant', 'what', 'asked by', 'decided by', 'expires'],
    requests.map((r) => [
      r.id,
      path(r),
      r.tenant,
      clip(subject(r), 50),
      r.requestedBy,
      r.decidedBy,
      ['requested', 'approved'].includes(r.state) ? short(r.expiresAt) : null,
    ]),
  );
}

export function requestText(r: RestoreRequest): string {
  const counts = Object.entries(r.plan.tables).filter(([, c]) => c.inserted + c.updated + c.deleted > 0);
  const touched = (name: string) => {
    const { inserted, updated, deleted } = r.plan.tables[name] ?? { inserted: 0, updated: 0, deleted: 0 };
    return inserted + updated + deleted;
  };
  const samples = (r.plan.samples ?? r.plan.rows) as readonly RowSample[] | undefined;
  const lines = [
    `${bold(`Restore request ${r.id}`)}: tenant ${printable(r.tenant)}, ${printable(subject(r))}`,
    `  ${dim('why')}  ${printable(r.reason)}${r.maintenance ? yellow('  (tenant in maintenance meanwhile)') : ''}`,
    ...(r.decision
      ? [`  ${dim(r.state === 'rejected' ? 'rejected because' : 'approved because')}  ${printable(r.decision)}`]
      : []),
    ...(r.undoReason ? [`  ${dim('undone because')}  ${printable(r.undoReason)}`] : []),
    ...(r.error ? [`  ${red(printable(r.error.code))} ${printable(r.error.message)}`] : []),
    '',
    timeline(r),
    '',
    counts.length === 0
      ? 'Nothing differs: there is nothing to write.'
      : table(
          ['table', 'insert', 'update', 'delete'],
          counts.map(([name, c]) => [name, c.inserted, c.updated, c.deleted]),
        ),
    ...(samples ? rowSamples(samples, r.tenant, touched) : []),
    '',
    dim(`fingerprint ${r.fingerprint}`),
    ...next(r),
  ];
  return lines.join('\n');
}

function next(r: RestoreRequest): string[] {
  if (r.state === 'requested') {
    return [`To approve exactly this: holdfast restores approve ${r.id} --by <another person>`];
  }
  if (r.state === 'approved') return [`To apply it, until ${short(r.expiresAt)}: holdfast restores apply ${r.id}`];
  if (r.state === 'applied' && r.xid !== null) return [`${green('To undo')}: holdfast restores undo ${r.id}`];
  return [];
}
