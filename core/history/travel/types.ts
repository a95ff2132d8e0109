/** What time travel answers. Values are texts as PostgreSQL prints them under pinned settings; null is SQL NULL. */
import type { Text } from '../types.ts';

/** A value that was lawfully erased from history. */
export interface Redacted {
  readonly redacted: true;
}

export type Value = Text | Redacted;

/** One row: column -> value. */
export type Row = Readonly<Record<string, Value>>;

/** A moment (ISO 8601, microseconds), a restore point, or the present. */
export type When = { readonly moment: string } | { readonly restorePoint: string } | 'now';

/** What every question may be narrowed and paged by. */
export interface Paging {
  /** At most so many; default: all of them, as a stream. */
  readonly limit?: number;
  /** `next` of a page before: goes on after it, in the same state of history. */
  readonly after?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Pass it as `after` to go on; null: that was all. */
  readonly next: string | null;
}

/** An item of a stream, with the place to go on from after it. */
export interface Placed<T> {
  readonly item: T;
  /** Made only when it is asked for, which is once a page. */
  readonly place: () => string;
}

export interface Who {
  readonly userId: string | null;
  readonly email: string | null;
  readonly sessionId: string | null;
  readonly ip: string | null;
  readonly userAgent: string | null;
}

export interface FieldChange {
  /** As the column was called then; it may have been renamed or dropped since. */
  readonly column: string;
  readonly old: Value;
  readonly new: Value;
}

/** One change of one record. */
export interface ChangeRead {
  readonly seq: string;
  /** When it was committed, ISO 8601; null where the server did not keep it. */
  readonly committedAt: string | null;
  readonly table: string;
  /** The key's text, or a JSON array of texts where it has several columns; null for a table without a key. */
  readonly record: string | null;
  readonly action: 'insert' | 'update' | 'delete' | 'truncate';
  readonly tenant: string | null;
  readonly who: Who;
  readonly fields: readonly FieldChange[];
  /** Set where the row came from or went to another key or tenant. */
  readonly moved: { readonly from?: Moved; readonly to?: Moved } | null;
}

export interface Moved {
  readonly organization: string | null;
  readonly record: string | null;
}

/** A change, and until when what it wrote stood. */
export interface Version extends ChangeRead {
  /** When the next change was committed; null: it stands. */
  readonly until: string | null;
}

/** A record that differs between two moments. */
export interface Difference {
  readonly table: string;
  readonly record: string;
  readonly action: 'insert' | 'update' | 'delete';
  readonly before: Row | null;
  readonly after: Row | null;
  /** Those that differ; for an insert and a delete all of them. */
  readonly columns: readonly string[];
}

export interface Bucket {
  /** Where it begins, ISO 8601. */
  readonly begins: string;
  readonly inserts: number;
  readonly updates: number;
  readonly deletes: number;
  readonly transactions: number;
  /** Different users who are named; changes without one count for none. */
  readonly users: number;
}
