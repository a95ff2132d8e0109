/** Reading the catalog. */
import type pg from 'pg';
import type { Moment } from '../moment.ts';
import { parseMoment } from '../moment.ts';
import type { Proof } from '../restore/restoreTest.ts';
import type { NotProven } from './prove.ts';

export interface ListedBackup {
  readonly id: string;
  /** null: the whole database. */
  readonly tenant: string | null;
  readonly type: string;
  readonly status: 'running' | 'complete' | 'failed' | 'expired';
  readonly parent: string | null;
  readonly startedAt: Moment;
  readonly finishedAt: Moment | null;
  /** Latest moment that it restores to. */
  readonly horizon: Moment | null;
  readonly verifiedAt: Moment | null;
  /** Last time that a restore test of it passed. */
  readonly provenAt: Moment | null;
  /** What its last restore test came to. */
  readonly proof: ProofState;
  readonly legalHold: boolean;
  /** Bytes, rows and changes are null where the session may not know them. */
  readonly bytes: number | null;
  readonly rows: number | null;
  readonly changes: number | null;
  readonly error: { readonly code?: string; readonly message: string } | null;
}

/**
 * `proven`: it was restored and compared. `failed`: it was restored, and did not hold. `not run`: a test was asked for and could
 * not be made. `never`: no test was asked for. Why not, for `failed` and `not run`.
 */
export interface ProofState {
  readonly state: 'proven' | 'failed' | 'not run' | 'never';
  readonly reason: string | null;
}

export interface ListOptions {
  /** Those that can restore this tenant: its own, and those of the whole database. @default all */
  readonly tenant?: string;
  /** @default 100 */
  readonly limit?: number;
  /** Running, failed and expired ones too. @default false */
  readonly all?: boolean;
}

/** Newest first. */
export async function listBackups(client: pg.ClientBase, options: ListOptions = {}): Promise<ListedBackup[]> {
  const { rows } = await client.query(
    `select id, tenant, type, status, parent_id, started_at::text, finished_at::text, horizon::text, verified_at::text,
            proven_at::text, legal_hold, bytes, rows, changes, error, proof
       from holdfast.tenant_backup_list
      where ($1::text is null or tenant = $1 or tenant is null) and ($2 or status = 'complete')
      order by started_at desc, id desc limit $3`,
    [options.tenant ?? null, options.all ?? false, options.limit ?? 100],
  );
  const moment = (text: string | null) => (text === null ? null : parseMoment(text));
  const number = (text: string | null) => (text === null ? null : Number(text));
  return rows.map((row) => ({
    id: row.id,
    tenant: row.tenant,
    type: row.type,
    status: row.status,
    parent: row.parent_id,
    startedAt: parseMoment(row.started_at),
    finishedAt: moment(row.finished_at),
    horizon: moment(row.horizon),
    verifiedAt: moment(row.verified_at),
    provenAt: moment(row.proven_at),
    proof: proofState(row.proof, row.proven_at !== null),
    legalHold: row.legal_hold,
    bytes: number(row.bytes),
    rows: number(row.rows),
    changes: number(row.changes),
    error: row.error,
  }));
}

/** The last test counts. A session that may not see it knows only whether one has ever passed. */
export function proofState(proof: Pick<Proof, 'ok' | 'failures'> | NotProven | null, everPassed: boolean): ProofState {
  if (proof === null) return { state: everPassed ? 'proven' : 'never', reason: null };
  if (proof.ok === null) return { state: 'not run', reason: `${proof.reason.message}` };
  return proof.ok ? { state: 'proven', reason: null } : { state: 'failed', reason: proof.failures.join('; ') };
}

export interface StepRecord {
  readonly at: string;
  readonly step: string;
  readonly result: string;
  readonly milliseconds: number | null;
  readonly detail: unknown;
}

/** What happened in one run, in order. */
export async function backupLog(client: pg.ClientBase, backup: string): Promise<StepRecord[]> {
  const { rows } = await client.query(
    `select at::text, step, result, duration_ms::float8 as milliseconds, detail
       from holdfast.tenant_backup_logs where backup_id = $1 order by id`,
    [backup],
  );
  return rows;
}
