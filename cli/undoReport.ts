/** Shows what an undo does, or would do. */
import type { By, Conflict, Offer, UndoPlan, UndoResult } from '../core/restore/undo/types.ts';
import { bold, clip, count, dim, duration, green, printable, table, yellow } from './output.ts';
import type { Report } from './report.ts';
import { rowSamples } from './rowSamples.ts';
import { shellWord } from './shellWord.ts';
import { violationLines } from './violations.ts';

/** Conflicts and offers shown to a person; `--json` has more. */
const SHOWN = 12;
const VALUE = 32;

/** @param again the command line that was given, without --preview, with these words added: what to run to do it */
export function undoReport(
  plan: UndoPlan | UndoResult,
  milliseconds: number,
  again: (words: readonly string[]) => string,
): Report {
  const preview = !('xid' in plan);
  const changed = Object.entries(plan.tables);
  const touched = (name: string) => {
    const { inserted, updated, deleted } = plan.tables[name]!;
    return inserted + updated + deleted;
  };
  const lines = [
    `${bold(preview ? 'Preview' : 'Undone')}: ${subject(plan)} of tenant ${printable(plan.tenant)}  (${duration(milliseconds)})`,
    '',
    changed.length === 0
      ? 'Nothing is left to undo.'
      : table(
          ['table', 'insert', 'update', 'delete'],
          [...changed, ...(changed.length > 1 ? [['total', plan.totals] as const] : [])].map(([name, c]) => [
            name,
            c.inserted,
            c.updated,
            c.deleted,
          ]),
        ),
  ];
  if (preview) lines.push(...rowSamples(plan.rows, plan.tenant, touched));
  lines.push('', ...authorLines(plan), ...conflictLines(plan), ...offerLines(plan.offers));
  for (const { table: name, column, rows } of plan.stamped) {
    lines.push(
      dim(`${printable(name)}.${printable(column)} of ${count(rows, 'row')} stays as a later write stamped it`),
    );
  }
  for (const { table: name, trigger } of plan.suspended) {
    const would = preview ? 'would be' : 'was';
    lines.push(
      yellow(`note: trigger ${printable(trigger)} of ${printable(name)} ${would} suspended inside the transaction`),
    );
  }
  lines.push(...violationLines(plan.violations));
  if (preview && changed.length > 0 && plan.violations.length === 0) {
    lines.push(
      'To do exactly this, and nothing if anything has moved since:',
      `  ${again(['--fingerprint', plan.fingerprint])}`,
    );
  }
  if ('xid' in plan && plan.xid !== null) {
    lines.push(`${green('To undo')}: holdfast undo -t ${shellWord(plan.tenant)} --transactions ${plan.xid}`);
  }
  while (lines.at(-1) === '') lines.pop();
  return {
    json: { ...plan, preview, milliseconds: Math.round(milliseconds) },
    text: lines.join('\n'),
    exitCode: plan.violations.length ? 1 : 0,
  };
}

function subject({ scope, moment }: UndoPlan): string {
  switch (scope.kind) {
    case 'session':
      return `session ${printable(scope.session)}`;
    case 'user':
      return `what ${printable(scope.user)} did since ${moment}`;
    case 'transactions':
      return `transaction ${scope.transactions.join(', ')}`;
    case 'records':
      return `${scope.columns ? `${scope.columns.map(printable).join(', ')} of ` : ''}${count(scope.records.length, 'record')} of ${printable(scope.table)} back to ${moment}`;
    case 'table':
      return `${printable(scope.table)} back to ${moment}`;
    default:
      return `everything back to ${moment}`;
  }
}

/** Whose work is taken back: news only where it was not named in what was asked. */
function authorLines({ authors, scope }: UndoPlan): string[] {
  if (scope.kind === 'session' || scope.kind === 'user' || authors.length === 0) return [];
  return [
    bold('Whose changes are taken back'),
    ...authors
      .slice(0, SHOWN)
      .map((a) => `  ${name(a.userId)}  ${count(a.changes, 'change')}, ${dim(`last ${a.last}`)}`),
    '',
  ];
}

function conflictLines({ conflicts, conflictCount }: UndoPlan): string[] {
  if (conflictCount === 0) return [];
  const more = conflictCount - Math.min(SHOWN, conflicts.length);
  return [
    bold(count(conflictCount, 'conflict')),
    ...conflicts.slice(0, SHOWN).flatMap((c) => [`  ${where(c)}  ${what(c)}`, ...values(c)]),
    ...(more > 0 ? [dim(`  and ${more} more`)] : []),
    '',
  ];
}

const where = (c: Conflict): string =>
  `${printable(c.table)} ${clip(c.record, VALUE)}${c.column === undefined ? '' : `, ${printable(c.column)}`}`;

function what(c: Conflict): string {
  const happened = {
    edited: c.column === undefined ? 'was made, and worked on' : 'was changed later',
    deleted: 'was deleted later',
    recreated: 'was made anew',
    missing: 'points at a row that is gone',
    referenced: 'is pointed at',
    taken: 'would have a value that another row holds',
  }[c.kind];
  const taken = { base: 'put back all the same', theirs: 'as it was left', current: 'stays as it is' };
  const by = c.by.length === 0 ? '' : ` by ${c.by.map(who).join(', ')}`;
  return `${happened}${by}${c.take === null ? '' : ` ${dim(`→ ${taken[c.take]}`)}`}`;
}

const who = ({ userId, at }: By): string => `${name(userId)} ${dim(`(${at})`)}`;
const name = (userId: string | null): string => (userId === null ? 'somebody without a name' : printable(userId));

function values(c: Conflict): string[] {
  if (c.column === undefined) return [];
  const show = (value: string | null | undefined) => (typeof value === 'string' ? clip(value, VALUE) || "''" : 'null');
  return [dim(`      base ${show(c.base)}   theirs ${show(c.theirs)}   current ${show(c.current)}`)];
}

function offerLines(offers: readonly Offer[]): string[] {
  if (offers.length === 0) return [];
  return [
    bold('Needed as well (--include-offered)'),
    ...offers
      .slice(0, SHOWN)
      .map(
        (o) =>
          `  ${o.action === 'insert' ? '+' : '-'} ${printable(o.table)} ${clip(o.record, VALUE)}: ${printable(o.reason)}`,
      ),
    ...(offers.length > SHOWN ? [dim(`  and ${offers.length - SHOWN} more`)] : []),
    '',
  ];
}
