/** Pieces of what the commands that look back print. */
import type { ChangeRead, FieldChange, Row, Value } from '../../core/history/travel/types.ts';
import { bold, clip, dim, green, red, yellow } from '../output.ts';
import { difference } from '../rowSamples.ts';

const NAME = 24;

/** Milliseconds are enough for a person to read; `--json` has the microseconds. */
export const short = (moment: string | null): string =>
  moment === null ? '(unknown)' : moment.replace('T', ' ').replace(/(\.\d{3})\d{3}Z$/, '$1Z');

export const who = ({ who: actor }: ChangeRead): string =>
  actor.userId === null
    ? dim('(nobody named)')
    : clip(actor.email ? `${actor.userId} <${actor.email}>` : actor.userId, 72);

const SIGN = { insert: green('+'), update: yellow('~'), delete: red('-'), truncate: red('x') } as const;
export const sign = (action: ChangeRead['action']): string => SIGN[action];

/** Erased values too have a text for a person to read. */
export const textOf = (value: Value): string | null =>
  value === null || typeof value === 'string' ? value : '(redacted)';

/** `column  old → new`, a line for each. */
export function fieldLines(fields: readonly FieldChange[], action: string): string[] {
  const width = Math.min(NAME, Math.max(0, ...fields.map((f) => f.column.length)));
  return fields
    .filter((f) => action === 'update' || (action === 'insert' ? f.new : f.old) !== null)
    .map((f) => {
      const [old, now] = difference(textOf(f.old), textOf(f.new));
      const value = action === 'insert' ? now : action === 'delete' ? dim(old) : `${dim(old)} → ${now}`;
      return `      ${clip(f.column, NAME).padEnd(width)}  ${value}`;
    });
}

/** One row, a line for each column. */
export function rowLines(row: Row, columns: readonly string[]): string[] {
  const width = Math.min(NAME, Math.max(...columns.map((name) => name.length)));
  return columns.map(
    (name) =>
      `${bold(clip(name, NAME).padEnd(width))}  ${row[name] === null ? dim('null') : clip(textOf(row[name]!)!, 200)}`,
  );
}

/** Where a row went or came from, in words. */
export function movedLine({ moved }: ChangeRead): string {
  const end = moved?.to ?? moved?.from;
  if (!end) return '';
  return dim(
    `  moved ${moved?.to ? 'to' : 'from'} ${end.record ?? '?'}${end.organization ? ` of tenant ${end.organization}` : ''}`,
  );
}
