/**
 * Values that were lawfully erased from the trail. There `{"redacted": true}` stands for a value, or for the pair of an
 * update's values. Read, each becomes a text that no value can be: PostgreSQL's texts hold no NUL.
 */
import { RestoreError } from '../errors.ts';
import type { Change, Text } from './types.ts';

const OLD = '\0redacted, old';
const NEW = '\0redacted, new';

const isRedacted = (value: Text | undefined): boolean => value === OLD || value === NEW;

/** For people to read. */
export const shownText = (value: Text): Text => (isRedacted(value) ? '(redacted)' : value);

const isMark = (value: unknown): boolean => (value as { redacted?: unknown } | null)?.redacted === true;

/** Old and new are told apart: that there was a change is known, and only what it was is not. */
export function markRedacted<C extends Pick<Change, 'action' | 'changes'>>(change: C): C {
  const { action, changes } = change;
  if (!changes || !Object.values(changes).some(isMark)) return change;
  const mark = action === 'U' ? ([OLD, NEW] as const) : NEW;
  const entries = Object.entries(changes).map(([column, value]) => [column, isMark(value) ? mark : value]);
  return { ...change, changes: Object.fromEntries(entries) };
}

/**
 * A row that a restore would write must be known.
 * @throws RestoreError HF_VALUE_REDACTED
 */
export function requireKnown(row: Readonly<Record<string, Text>>, table: string, record: string): void {
  const columns = Object.keys(row).filter((name) => isRedacted(row[name]));
  if (columns.length === 0) return;
  throw new RestoreError(
    'HF_VALUE_REDACTED',
    `What ${columns.join(', ')} of ${table} ${record} was has been erased from the trail, and cannot be brought back.`,
    {
      action: 'Leave the record out, or undo only its other fields (--columns).',
      details: { table, record, columns },
    },
  );
}
