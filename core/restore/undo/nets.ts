/** From a stream of changes to what the undo does to each record. */
import { IntegrityError, RestoreError } from '../../errors.ts';
import type { Net } from '../fold.ts';
import { Chain, type FieldConflict, type Outcome } from './merge.ts';
import type { MarkedChange } from './read.ts';
import type { By, Take } from './types.ts';

/** What the undo does to one record. */
export type RecordNet = Exclude<Outcome, { action: 'none' }> & {
  readonly table: number;
  readonly record: string;
  readonly by: readonly By[];
};

export interface MergeOptions {
  /** Only these fields. */
  readonly columns?: ReadonlySet<string>;
  readonly decide: (table: number, record: string, conflict: FieldConflict) => Take | null;
  /** Sees every undone change once. */
  readonly undone: (change: MarkedChange) => void;
}

/** Merges changes ordered by record; one record is held at a time. Records that need nothing are passed over. */
export async function* mergeAll(
  changes: AsyncIterable<MarkedChange>,
  options: MergeOptions,
): AsyncGenerator<RecordNet> {
  let at: { table: number; record: string; chain: Chain } | undefined;
  for await (const change of changes) {
    const record = change.record!;
    if (at === undefined || at.table !== change.table || at.record !== record) {
      if (at) yield* close(at, options);
      at = { table: change.table, record, chain: new Chain(options.columns) };
    }
    at.chain.add(change, change.undone);
    if (change.undone) options.undone(change);
  }
  if (at) yield* close(at, options);
}

function* close(at: { table: number; record: string; chain: Chain }, options: MergeOptions): Generator<RecordNet> {
  const { table, record, chain } = at;
  if (chain.withoutBase) throw bornSince(table, record);
  const outcome = chain.finish((conflict) => options.decide(table, record, conflict));
  if (outcome.action !== 'none') yield { ...outcome, table, record, by: chain.by };
}

export function toNet(net: RecordNet): Net {
  const { table, record } = net;
  if (net.action === 'delete') return { table, record, state: { kind: 'absent' } };
  if (net.action === 'insert') return { table, record, state: { kind: 'full', row: net.after } };
  return { table, record, state: { kind: 'partial', set: net.after } };
}

/** Drops generated columns, which follow from the others: nobody edits them, so they are no conflict either. */
export function writable(change: MarkedChange, columns: ReadonlySet<string>): MarkedChange {
  const { changes } = change;
  if (!changes || Object.keys(changes).every((name) => columns.has(name))) return change;
  return { ...change, changes: Object.fromEntries(Object.entries(changes).filter(([name]) => columns.has(name))) };
}

const bornSince = (table: number, record: string): RestoreError =>
  new RestoreError('HF_FIELD_WITHOUT_BASE', `Record ${record} of table ${table} did not exist at that moment.`, {
    action: 'Choose a later moment for its fields, or undo the whole record, which removes it.',
    details: { table, record },
  });

/** A change that names no record: its table has no key (`table` undefined), or the key was erased with the person it named. */
export function nameless(change: MarkedChange, table: string | undefined): RestoreError {
  if (table === undefined) {
    return new RestoreError('HF_NO_KEY', `Table ${change.table} has no key, so its changes name no record.`, {
      action: 'Leave that table out of the undo, by naming the tables to undo.',
      details: { table: change.table },
    });
  }
  return new RestoreError('HF_VALUE_REDACTED', `The key of a record of ${table} has been erased from the trail.`, {
    action: 'Leave that table out of the undo, by naming the tables to undo, or name the records to undo.',
    details: { table },
  });
}

export const missingTable = (table: number): IntegrityError =>
  new IntegrityError(
    'HF_TABLE_GONE',
    `The trail holds changes of table ${table}, which is no longer protected or is gone.`,
    {
      action: 'Leave that table out, by naming the tables to undo.',
      details: { table },
    },
  );
