/** Shows what a copy into another tenant does, or would do. */
import type { LostReference, TransferConflict, TransferResult } from '../core/restore/transfer/types.ts';
import { bold, count, dim, duration, green, printable, red, table, yellow } from './output.ts';
import type { Report } from './report.ts';
import { shellWord } from './shellWord.ts';
import { violationLines } from './violations.ts';

const HOW = {
  sequence: 'the next of its sequence',
  default: 'its default',
  uuid: 'a random uuid',
  number: 'the next free number',
  prefix: 'the prefix and the old one',
} as const;

/** @param again the command line that was given, without --preview */
export function transferReport(result: TransferResult, milliseconds: number, again: string): Report {
  const { preview, tables, totals } = result;
  const busy = Object.entries(tables);
  const where =
    result.source === 'now'
      ? 'as it is now'
      : `as of ${result.moment}, from ${result.source === 'live' ? 'the live tables and the trail' : count(result.backups.length, 'backup')}`;
  const lines = [
    `${bold(preview ? 'Preview' : 'Copied')}: tenant ${printable(result.from)} into tenant ${printable(result.into)}, ${where}  (${duration(milliseconds)})`,
    '',
    busy.length === 0
      ? 'There is nothing to copy.'
      : table(
          ['table', 'rows', 'new key', 'such as'],
          busy.map(([name, { inserted }]) => [name, inserted, keysOf(result, name), example(result, name)]),
        ),
    ...(busy.length > 1 ? [dim(`${totals.inserted.toLocaleString('en')} rows in all`)] : []),
    '',
    ...result.conflicts.flatMap(conflictLines),
    ...result.cleared.map((lost) => yellow(`note: ${lostText(lost)}: set to null`)),
    ...(result.persons > 0
      ? [
          yellow(
            `note: the personal data of ${count(result.persons, 'person')} ${preview ? 'would stand' : 'stands'} in both tenants`,
          ),
        ]
      : []),
    ...(result.untouched.length > 0
      ? [yellow(`note: ids inside ${result.untouched.map(printable).join(', ')} are copied as they are`)]
      : []),
    ...result.suspended.map(({ table: name, trigger }) =>
      yellow(`note: trigger ${printable(trigger)} of ${printable(name)} ${preview ? 'would be' : 'was'} suspended`),
    ),
    ...result.excluded.map((name) => yellow(`note: ${printable(name)} is not copied: the backups leave it out`)),
    ...violationLines(result.violations),
  ];
  if (preview && busy.length > 0 && result.violations.length === 0) {
    lines.push('To do exactly this, and nothing if anything has moved since:', `  ${again} \\`);
    lines.push(`    --fingerprint ${result.fingerprint}`);
  }
  if (result.xid !== null) {
    const copy = `-t ${shellWord(result.into)} --transactions ${result.xid}`;
    lines.push(`${green('To undo')}: holdfast undo ${copy}`);
  }
  while (lines.at(-1) === '') lines.pop();
  return {
    json: { ...result, milliseconds: Math.round(milliseconds) },
    text: lines.join('\n'),
    exitCode: result.violations.length > 0 ? 1 : 0,
  };
}

function keysOf(result: TransferResult, name: string): string {
  const own = result.newKeys.filter((k) => k.table === name).map((k) => `${k.column}: ${HOW[k.how]}`);
  return own.join(', ') || 'as the rows it points at';
}

function example(result: TransferResult, name: string): string {
  const pair = result.mapping.find((m) => m.table === name);
  const short = (record: string) => (record.length > 24 ? `${record.slice(0, 23)}…` : record);
  return pair ? `${short(pair.from)} → ${short(pair.into)}` : '';
}

function conflictLines(conflict: TransferConflict): string[] {
  const { table: name, constraint, columns, rows, samples } = conflict;
  return [
    red(`${printable(name)}: ${count(rows, 'row')} would break ${printable(constraint)} (${columns.join(', ')})`),
    ...samples
      .slice(0, 3)
      .map(({ record, value, heldBy }) =>
        dim(
          `    ${printable(record)}: ${value === null ? 'a personal value' : printable(value)} is held by ${printable(heldBy)}`,
        ),
      ),
  ];
}

const lostText = ({ table: name, columns, parent, rows }: LostReference): string =>
  `${columns.join(', ')} of ${count(rows, 'row')} of ${printable(name)} points at rows of ${printable(parent)} that are not copied`;
