import type { TableName } from '../types.ts';

/** Something in the data or in the schema that lets data go wrong, or lets one tenant's restore fail. */
export interface IntegrityFinding {
  /** Stable, e.g. `HF_ROW_ORPHAN`. */
  readonly code: string;
  /** error: rows are wrong now. warning: nothing keeps them from becoming wrong. advice: could be tighter; may be meant. */
  readonly severity: 'error' | 'warning' | 'advice';
  readonly table: TableName;
  readonly columns: readonly string[];
  readonly message: string;
  /** Rows concerned: record ids, a few of them. */
  readonly rows: readonly string[];
  /** How many rows there are; counting stops at 1,000. null: not counted. */
  readonly count: number | null;
  /** Ways to mend it, of which one is to be chosen; the first keeps the most. */
  readonly mends: readonly Mend[];
}

export interface Mend {
  readonly what: string;
  readonly sql: readonly string[];
  /** Absent when it was not to be tried. */
  readonly tried?: Trial;
}

export interface Trial {
  readonly result: 'works' | 'fails' | 'not tried';
  /** Why it fails, or was not tried. */
  readonly reason?: string;
}

/** What could not be looked at in the time that a check may take. */
export interface Unchecked {
  readonly table: TableName;
  readonly what: string;
  readonly reason: string;
}

export interface IntegrityReport {
  readonly findings: readonly IntegrityFinding[];
  readonly unchecked: readonly Unchecked[];
  /** Foreign keys and candidates that were looked at. */
  readonly checked: number;
}
