/** What a query may be, and what PostgreSQL's refusal of one means to the person who typed it. */
import { RestoreError } from '../../errors.ts';

const WRITES =
  /^\s*(insert|update|delete|merge|truncate|create|alter|drop|grant|revoke|copy|call|do|set|reset|vacuum|analyze|refresh|reindex|cluster|lock|begin|commit|rollback|start|savepoint|comment|security|import|load|listen|notify|prepare|execute|declare|reassign|discard)\b/i;

/** Without comments in front and without the semicolon at the end. @throws RestoreError HF_QUERY_READ_ONLY, HF_QUERY_INVALID */
export function oneQuery(text: string): string {
  const sql = text.replace(/[\s;]+$/, '');
  const start = sql.replace(/^(\s+|--[^\n]*(\n|$)|\/\*[\s\S]*?\*\/)+/, '');
  if (start === '') {
    throw new RestoreError('HF_QUERY_INVALID', 'The query is empty.', { action: 'Pass one SELECT statement.' });
  }
  const word = WRITES.exec(start)?.[1];
  if (word !== undefined) throw readOnly(`${word.toUpperCase()} is not a query`);
  return sql;
}

const readOnly = (why: string, cause?: unknown) =>
  new RestoreError('HF_QUERY_READ_ONLY', `A backup cannot be written: ${why}.`, {
    cause,
    action: 'Ask with SELECT, VALUES, TABLE or WITH … SELECT. To change data, restore it.',
  });

export interface AskedAbout {
  readonly sql: string;
  /** Characters that stood before the query in what was sent. */
  readonly before: number;
}

/** PostgreSQL's error as one of ours; anything else as it is. */
export function queryError(error: unknown, { sql, before }: AskedAbout): unknown {
  const { code, message, position, hint, detail } = error as Record<string, string | undefined>;
  if (code === undefined || !/^[0-9A-Z]{5}$/.test(code)) return error;
  const at = position === undefined ? undefined : Number(position) - 1 - before;
  const where = at !== undefined && at >= 0 && at <= sql.length ? place(sql, at) : undefined;
  const details = { sqlstate: code, ...(where ? { position: at! + 1, line: where.line, column: where.column } : {}) };
  const said = `${message}${where ? `, at line ${where.line}, column ${where.column}: ${where.near}` : ''}`;
  const note = [detail, hint].filter(Boolean).join(' ');
  if (code === '25006' || (code === '0A000' && /data-modifying|INTO/.test(message ?? ''))) return readOnly(said, error);
  if (code === '42601' && /multiple commands/.test(message ?? '')) {
    return new RestoreError('HF_QUERY_INVALID', 'More than one statement was given.', {
      cause: error,
      action: 'Ask one query at a time.',
      details,
    });
  }
  if (code === '57014') return timedOut(error);
  if (code === '42501') {
    return new RestoreError('HF_QUERY_DENIED', `The query may not do that: ${said}.`, {
      cause: error,
      action: 'Queries read tables and views; sequences, server files and settings are out of their reach.',
      details,
    });
  }
  const invalid = code.startsWith('42') || code === '0A000' || code === '3F000';
  return new RestoreError(
    invalid ? 'HF_QUERY_INVALID' : 'HF_QUERY_FAILED',
    `${invalid ? 'The query cannot be run' : 'The query failed'}: ${said}.`,
    { cause: error, action: note || 'Correct the query; names are those that the schema had at that moment.', details },
  );
}

export const timedOut = (cause?: unknown) =>
  new RestoreError('HF_QUERY_TIMEOUT', 'The query took longer than it may.', {
    cause,
    action: 'Narrow it down, or allow more with --timeout <seconds>.',
  });

/** Line and column from 1, and the line itself from there on. */
function place(sql: string, at: number): { line: number; column: number; near: string } {
  const lines = sql.slice(0, at).split('\n');
  const near = sql.slice(at).split('\n')[0]!.slice(0, 40);
  return { line: lines.length, column: lines.at(-1)!.length + 1, near: near === '' ? '(end)' : near };
}
