/**
 * What many changes to one record come to. Backward: what the record was before the first of them. Forward: what it is after
 * the last. Pure; every restore, from the live table or from a store, is built on these two.
 */
import { IntegrityError } from '../errors.ts';
import { markRedacted, requireKnown } from '../history/redacted.ts';
import type { Change, Text } from '../history/types.ts';

export type Row = Readonly<Record<string, Text>>;

/**
 * The net effect for one record: it should not exist; it should be exactly this row; or these columns should hold these
 * values and the others stay as they are in the base (the live row, or the row of a backup chunk).
 */
export type NetState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'full'; readonly row: Row }
  | { readonly kind: 'partial'; readonly set: Row };

export interface Net {
  readonly table: number;
  /** `recordText` of the key. */
  readonly record: string;
  readonly state: NetState;
}

export type Direction = 'backward' | 'forward';

/**
 * Folds the changes of one record, given in order. `undefined` when there are none.
 * @throws RestoreError HF_VALUE_REDACTED where the answer needs a value that was erased from history
 */
export function fold(changes: Iterable<Change>, direction: Direction): NetState | undefined {
  const step = direction === 'backward' ? backward : forward;
  let state: Accumulator;
  let last: Change | undefined;
  for (const change of changes) {
    state = step(state, markRedacted(change));
    last = change;
  }
  return state === undefined ? undefined : publish(state, last!.table, last!.record);
}

/**
 * Folds a stream ordered by (table, record, order of change) and yields one `Net` per record, holding one record at a time.
 * Truncation marks are passed over, because the rows they removed precede them as deletes.
 */
export async function* foldStream(changes: AsyncIterable<Change>, direction: Direction): AsyncGenerator<Net> {
  const step = direction === 'backward' ? backward : forward;
  let table = -1;
  let record: string | null = null;
  let state: Accumulator;
  for await (const change of changes) {
    if (change.action === 'T') continue;
    if (change.record === null) throw keyless(change);
    if (state && (change.table !== table || change.record !== record)) {
      yield { table, record: record!, state: publish(state, table, record) };
      state = undefined;
    }
    table = change.table;
    record = change.record;
    state = step(state, markRedacted(change));
  }
  if (state) yield { table, record: record!, state: publish(state, table, record) };
}

/** `settled`: nothing that comes later can alter the answer any more (backward only). */
type Accumulator =
  | { kind: 'absent' | 'full' | 'partial'; row: Record<string, Text>; settled: boolean; last: 'I' | 'U' | 'D' }
  | undefined;

function backward(state: Accumulator, change: Change): Accumulator {
  follows(state, change);
  if (state?.settled) return { ...state, last: change.action as 'I' | 'U' | 'D' };
  switch (change.action) {
    case 'I':
      return { kind: 'absent', row: {}, settled: true, last: 'I' };
    case 'D': // the row just before its deletion, under what was changed in it since the target
      return { kind: 'full', row: { ...rowOf(change), ...state?.row }, settled: true, last: 'D' };
    default:
      return { kind: 'partial', row: { ...valuesOf(change, 0), ...state?.row }, settled: false, last: 'U' };
  }
}

function forward(state: Accumulator, change: Change): Accumulator {
  follows(state, change);
  switch (change.action) {
    case 'I':
      return { kind: 'full', row: rowOf(change), settled: false, last: 'I' };
    case 'D':
      return { kind: 'absent', row: {}, settled: false, last: 'D' };
    default: {
      const kind = state?.kind ?? 'partial';
      return { kind, row: { ...state?.row, ...valuesOf(change, 1) }, settled: false, last: 'U' };
    }
  }
}

/** An insert follows nothing or a delete; anything else follows a row that is there. Otherwise the history has a hole. */
function follows(state: Accumulator, change: Change): void {
  if (!state) return;
  const there = state.last !== 'D';
  if (there === (change.action === 'I')) {
    throw new IntegrityError(
      'HF_HISTORY_BROKEN',
      `History of record ${change.record} (table ${change.table}) has a hole before change ${change.seq}: ` +
        `${change.action} cannot follow ${state.last}.`,
      {
        action: 'Run "holdfast doctor"; restore this table from a full backup taken after the hole.',
        details: { table: change.table, record: change.record, seq: String(change.seq) },
      },
    );
  }
}

function publish(state: NonNullable<Accumulator>, table: number, record: string | null): NetState {
  if (state.kind === 'absent') return { kind: 'absent' };
  requireKnown(state.row, `table ${table}`, record ?? '');
  return state.kind === 'full' ? { kind: 'full', row: state.row } : { kind: 'partial', set: state.row };
}

function rowOf(change: Change): Record<string, Text> {
  return { ...(change.changes as Record<string, Text>) };
}

function valuesOf(change: Change, which: 0 | 1): Record<string, Text> {
  const values: Record<string, Text> = {};
  for (const [column, pair] of Object.entries(change.changes ?? {})) values[column] = (pair as [Text, Text])[which];
  return values;
}

function keyless(change: Change): IntegrityError {
  return new IntegrityError('HF_NO_KEY', `Table ${change.table} has no key, so its changes name no record.`, {
    action: 'Give the table a primary key, or exclude it from the restore.',
    details: { table: change.table, seq: String(change.seq) },
  });
}
