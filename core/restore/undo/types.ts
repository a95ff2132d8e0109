/** What is asked of an undo, and what it answers. All of it is plain JSON, so that a request or a plan can be stored. */
import type { HoldfastError } from '../../errors.ts';
import type { Actor } from '../../history/actor.ts';
import type { Text } from '../../history/types.ts';
import type { Client } from '../../sql.ts';
import type { Counts } from '../statement.ts';
import type { SuspendedTrigger } from '../triggers.ts';

/** A moment: an ISO 8601 time to the microsecond, or the name of a restore point. */
export type To = { readonly time: string } | { readonly point: string };

/**
 * What to undo. The first three undo somebody's changes and keep what everybody else did later. The others go back to a
 * moment, and take back whatever was done since within what they name.
 */
export type UndoScope =
  | { readonly kind: 'session'; readonly session: string; readonly tables?: readonly string[] }
  | { readonly kind: 'user'; readonly user: string; readonly since: To; readonly tables?: readonly string[] }
  /** What these transactions wrote; the ids are xid8. A restore is undone by naming its own. */
  | {
      readonly kind: 'transactions';
      readonly transactions: readonly (bigint | string)[];
      readonly tables?: readonly string[];
    }
  /** One record or many; each is its key's values, as text, in the order of the key. With `columns`: only these fields. */
  | {
      readonly kind: 'records';
      readonly table: string;
      readonly records: readonly (readonly string[])[];
      readonly columns?: readonly string[];
      readonly to: To;
    }
  | { readonly kind: 'table'; readonly table: string; readonly to: To }
  | { readonly kind: 'tenant'; readonly to: To };

/** base: the value before the undone change. theirs: what the undone change wrote. current: what is there now. */
export type Take = 'base' | 'theirs' | 'current';

/** A decision on one conflict. `column` absent: on the row as a whole, where only `base` and `current` exist. */
export interface Choice {
  readonly table: string;
  /** As plans name it: the key, or a JSON array of texts where the key has several columns. */
  readonly record: string;
  readonly column?: string;
  readonly take: Take;
}

export interface RecordName {
  readonly table: string;
  readonly record: string;
}

export interface UndoRequest {
  readonly tenant: string;
  readonly scope: UndoScope;
  /** refuse: nothing is done while there is a conflict. skip: later edits stay. force: the base comes back over them. @default 'refuse' */
  readonly policy?: 'refuse' | 'skip' | 'force';
  /** Decide single conflicts, before the policy does. */
  readonly choices?: readonly Choice[];
  /** Other records that the undo needs: all that the plan offers, or these. @default none */
  readonly include?: 'offered' | readonly RecordName[];
  /** @default 'suspend' */
  readonly userTriggers?: 'suspend' | 'fire';
  /** Whether to go on where a column was dropped since; what it held cannot be brought back. @default 'refuse' */
  readonly droppedColumns?: 'refuse' | 'ignore';
  /** Who undoes, for the trail. */
  readonly actor?: Actor;
  /** Rows, conflicts and offers listed; all are counted. @default 200 */
  readonly limit?: number;
}

/** What applying takes beyond the request that was previewed. */
export interface ApplyRequest extends UndoRequest {
  /** Of a preview: refuse when it would no longer do exactly that. */
  readonly fingerprint?: string;
  /** Runs in the undo's own transaction, last; `xid` null when nothing had to be done. What it throws rolls everything back. */
  readonly beforeCommit?: (client: Client, xid: string | null) => Promise<void>;
}

/** Who changed something, and when last. `userId` null: a write without context. */
export interface By {
  readonly userId: string | null;
  /** When the change was written. */
  readonly at: string;
  readonly xid: string;
}

export interface PlannedRow extends RecordName {
  readonly action: 'insert' | 'update' | 'delete';
  /** The columns that differ; all of them for an insert or a delete. */
  readonly before: Readonly<Record<string, Text>> | null;
  readonly after: Readonly<Record<string, Text>> | null;
  /** Whose changes are taken back in this row; the newest five. */
  readonly by: readonly By[];
  /** Set where the row is not of the scope itself, but was offered and included. */
  readonly included?: true;
}

/**
 * edited: later changed by somebody else (without `column`: a row that the undo would delete). deleted: the row was later
 * deleted by somebody else. recreated: a row that the undo would bring back was later made anew under its key.
 * missing, referenced, taken: the row cannot be undone without another one; only a policy of skip makes these conflicts.
 */
export type ConflictKind = 'edited' | 'deleted' | 'recreated' | 'missing' | 'referenced' | 'taken';

export interface Conflict extends RecordName {
  readonly kind: ConflictKind;
  readonly column?: string;
  readonly base?: Text;
  readonly theirs?: Text;
  readonly current?: Text;
  /** The later edits, newest five. */
  readonly by: readonly By[];
  /** What was decided; null: nothing yet, and the undo is refused. */
  readonly take: Take | null;
  readonly constraint?: string;
}

/** A column that every write stamps, whose later stamps stay: no conflict, because nobody's edit is in it. */
export interface StampedColumn {
  readonly table: string;
  readonly column: string;
  readonly rows: number;
}

/** Another record without which the undo is refused. */
export interface Offer extends RecordName {
  readonly action: 'insert' | 'delete';
  readonly reason: string;
  readonly constraint: string;
  /** The record that needs it. */
  readonly for: RecordName;
}

export type Violation = Pick<HoldfastError, 'code' | 'message' | 'action' | 'details'>;

/** Somebody whose changes are taken back. */
export interface Author {
  readonly userId: string | null;
  readonly changes: number;
  readonly first: string;
  readonly last: string;
}

export interface UndoPlan {
  readonly tenant: string;
  readonly scope: UndoScope;
  /** The moment gone back to; null where the scope has none. */
  readonly moment: string | null;
  readonly policy: 'refuse' | 'skip' | 'force';
  /** Of everything that would be done. `applyUndo` takes it and refuses when it would no longer do exactly this. */
  readonly fingerprint: string;
  readonly tables: Readonly<Record<string, Counts>>;
  readonly totals: Counts;
  readonly rows: readonly PlannedRow[];
  /** Rows beyond the limit, which are counted in `totals`. */
  readonly rowsNotShown: number;
  readonly conflicts: readonly Conflict[];
  readonly conflictCount: number;
  readonly stamped: readonly StampedColumn[];
  readonly offers: readonly Offer[];
  /** Why it cannot be applied as it stands; empty when it can. */
  readonly violations: readonly Violation[];
  /** Whose changes are taken back, most first; up to 50. */
  readonly authors: readonly Author[];
  readonly suspended: readonly SuspendedTrigger[];
}

export interface UndoResult extends UndoPlan {
  /** Going back to this point undoes the undo, with what happened since; undoing `xid` undoes only the undo. null when nothing was done. */
  readonly restorePoint: string | null;
  /** The transaction that did it. null when nothing was done. */
  readonly xid: string | null;
}
