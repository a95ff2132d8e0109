/** The vocabulary of history: snapshots, cuts and changes. */
import type { Moment } from '../moment.ts';

/** A parsed `pg_snapshot`: transactions below xmin are over, those from xmax on had not begun, `xip` were running. */
export interface Snapshot {
  readonly xmin: bigint;
  readonly xmax: bigint;
  readonly xip: readonly bigint[];
}

/**
 * A transaction-consistent cut through history: what `snapshot` sees, plus `extra` transactions. Every "as of" resolves to a
 * cut (`resolveCut`), and the cut for a given moment never changes.
 */
export interface Cut {
  readonly moment: Moment;
  readonly snapshot: Snapshot;
  /** Transactions that the snapshot does not see but that had committed by `moment`. */
  readonly extra: readonly bigint[];
}

/**
 * I, U, D: a row was inserted, updated, deleted. A change of key or of tenant is written as a D with its I, both flagged
 * `metadata.moved`, so that each tenant's and each record's history stands alone. T marks a TRUNCATE (its rows precede it as D).
 */
export type Action = 'I' | 'U' | 'D' | 'T';

/** A column value as PostgreSQL's own text output under pinned settings; null is SQL NULL. */
export type Text = string | null;

/** One row of `holdfast.trail`. */
export interface Change {
  readonly seq: bigint;
  /** Set when the change was logged after its own effect (nested triggers): it sorts just before that seq. */
  readonly before: bigint | null;
  readonly xid: bigint;
  /** When the row was written (clock), not when it became visible; see Cut. */
  readonly at: string;
  readonly table: number;
  readonly action: Action;
  readonly organization: string | null;
  /** `recordText` of the key; null for T and for tables without a key. */
  readonly record: string | null;
  readonly person: string | null;
  readonly userId: string | null;
  /** Content address of the actor context in `holdfast.actors`. */
  readonly actor: string | null;
  /** I and D: whole row `{column: value}`. U: changed columns `{column: [old, new]}`. */
  readonly changes: Readonly<Record<string, Text | readonly [Text, Text]>> | null;
  readonly metadata: Readonly<Record<string, unknown>> | null;
}
