import type { TableName } from './types.ts';

/** One thing that `doctor` found open. */
export interface Finding {
  /** Stable, e.g. `HF_TABLE_UNMAPPED`. */
  readonly code: string;
  /** error: something is unprotected, wrong or will fail. warning: it works, but slower, later or not for every row. */
  readonly severity: 'error' | 'warning';
  readonly table?: TableName;
  readonly column?: string;
  readonly message: string;
  /** What to run (SQL or a command), or what to write into holdfast.yaml. May have several lines. */
  readonly mend: string;
}
