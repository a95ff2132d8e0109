/** What a restore says when it cannot be done: which constraint, which rows, what to do. */
import { RestoreError } from '../errors.ts';
import type { Stranded } from './dependents.ts';
import type { StagedTable } from './stage.ts';
import type { StepKind } from './statement.ts';

/** Fields of the error that node-postgres raises. */
export interface PgError extends Error {
  readonly code?: string;
  readonly detail?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  readonly constraint?: string;
  readonly where?: string;
}

const VIOLATIONS: Readonly<Record<string, string>> = {
  '23505': 'a unique key that another row holds',
  '23P01': 'an exclusion constraint that another row stands against',
  '23503': 'a foreign key whose other side is not there',
  '23514': 'a check constraint',
  '23502': 'a column that may not be null',
};

/** A clear error for what PostgreSQL refused; anything unknown passes through. */
export function explain(error: unknown): unknown {
  const e = error as PgError;
  const details = { constraint: e.constraint, table: e.table, column: e.column, rows: e.detail, sqlstate: e.code };
  if (e.code === 'HF001') {
    return new RestoreError(
      'HF_RESTORE_FOREIGN',
      `The restore would have written a row of another tenant: ${e.message}`,
      {
        cause: error,
        action: 'Nothing was changed. A trigger or a foreign key action reaches across tenants; see the details.',
        details: { ...details, where: e.where },
      },
    );
  }
  if (e.code === 'P0001') {
    return new RestoreError('HF_RESTORE_CONFLICT', `A trigger of the application refuses the restore: ${e.message}.`, {
      cause: error,
      action: 'Nothing was changed. Change what the trigger objects to, and try again; the details say which it is.',
      details: { ...details, where: e.where },
    });
  }
  const kind = VIOLATIONS[e.code ?? ''];
  if (!kind) return error;
  const name = e.constraint ?? e.column ?? 'unknown';
  return new RestoreError(
    'HF_RESTORE_CONFLICT',
    `The restore meets ${kind}: ${name} on ${e.table ?? 'unknown'}. ${e.detail ?? e.message}`,
    {
      cause: error,
      action:
        'Nothing was changed. Change or remove the row named in the details, which the restore does not include, and try again.',
      details,
    },
  );
}

export function refuseStranded(stranded: readonly Stranded[]): RestoreError {
  const first = stranded[0]!;
  return new RestoreError(
    'HF_RESTORE_CONFLICT',
    `Rows of ${first.child} that the restore does not include point at rows that it removes (${first.constraint}): ${first.rows.join(', ')}.`,
    {
      action:
        'Nothing was changed. Remove or re-point those rows first, or protect their table so that the restore includes it.',
      details: { stranded },
    },
  );
}

export function refuseForeign(staged: StagedTable, records: readonly string[], tenant: string): RestoreError {
  return new RestoreError(
    'HF_RESTORE_FOREIGN',
    `The plan holds rows of ${staged.target.bound.name} that do not belong to tenant ${tenant}: ${records.join(', ')}.`,
    {
      action: 'Nothing was changed. Run "holdfast doctor": the data map may reach the tenant the wrong way.',
      details: { table: staged.target.bound.name, records, tenant },
    },
  );
}

/** Fewer rows were written than the plan said: a trigger, rule or policy swallowed some. */
export function swallowed(staged: StagedTable, step: StepKind, expected: number, got: number): RestoreError {
  const what = { d: 'delete', r: 'delete', u: 'update', i: 'insert' }[step];
  return new RestoreError(
    'HF_RESTORE_DIFFERS',
    `The ${what} in ${staged.target.bound.name} wrote ${got} rows instead of ${expected}. Nothing was kept.`,
    {
      action:
        'A row-level policy, a rule or a BEFORE trigger holds rows back. Restore as a role that bypasses row-level security.',
      details: { table: staged.target.bound.name, expected, got },
    },
  );
}
