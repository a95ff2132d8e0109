/** The list that a redaction signs, and the mark that it leaves. */
import { hash } from 'node:crypto';

/** Stands in `changes` where a column's value, or its pair of values, was scrubbed. As jsonb prints it. */
export const REDACTED = '{"redacted": true}';

export interface RedactedRow {
  readonly seq: string;
  /** Hex: the commitment in the leaf, and the one to what is left of the row. */
  readonly sealed: string;
  readonly rest: string;
}

/** Over one chain's rows in the order of seq. */
export function redactionDigest(rows: readonly RedactedRow[]): string {
  const lines = rows.map(({ seq, sealed, rest }) => `${seq}\t${sealed}\t${rest}\n`);
  return hash('sha256', `holdfast-redaction-1\n${lines.join('')}`, 'hex');
}
