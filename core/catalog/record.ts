/** Writing to the catalog while a backup runs: its row, and one line per step. */
import { createHash } from 'node:crypto';
import type pg from 'pg';
import { HoldfastError } from '../errors.ts';
import type { StoredProof } from '../snapshot/proofs.ts';
import type { BackupType, Manifest } from '../snapshot/types.ts';

export type StepResult = 'started' | 'ok' | 'failed' | 'skipped' | 'refused';

export interface LogLine {
  readonly backup: string | null;
  readonly tenant: string | null;
  readonly step: string;
  readonly result: StepResult;
  readonly milliseconds?: number;
  readonly detail?: unknown;
}

/** One line of `holdfast.tenant_backup_logs`. */
export async function logStep(client: pg.ClientBase, line: LogLine): Promise<void> {
  await client.query(
    `insert into holdfast.tenant_backup_logs (backup_id, tenant, step, result, duration_ms, detail)
     values ($1, $2, $3, $4, $5, $6)`,
    [
      line.backup,
      line.tenant,
      line.step,
      line.result,
      line.milliseconds === undefined ? null : Math.round(line.milliseconds),
      line.detail === undefined ? null : JSON.stringify(line.detail),
    ],
  );
}

export interface RunningBackup {
  readonly id: string;
  readonly tenant: string | null;
  readonly type: BackupType;
  readonly parent: string | null;
  readonly epoch: string;
  readonly startedAt: string;
  /** Of a run whose steps are processes of their own, and how long its claim lasts unless it is renewed. */
  readonly execution?: string;
  readonly leaseSeconds?: number;
}

/** The row that says that a backup has begun; committed before anything is written to the store. */
export async function recordRunning(client: pg.ClientBase, backup: RunningBackup): Promise<void> {
  await client.query(
    `insert into holdfast.tenant_backups (id, tenant, type, status, parent_id, epoch, started_at, execution, leased_until)
     values ($1, $2, $3, 'running', $4, $5, $6, $7, clock_timestamp() + make_interval(secs => $8))
     on conflict (id) do update set status = 'running', error = null, finished_at = null, execution = excluded.execution,
            leased_until = excluded.leased_until`,
    [
      backup.id,
      backup.tenant,
      backup.type,
      backup.parent,
      backup.epoch,
      backup.startedAt,
      backup.execution ?? null,
      backup.leaseSeconds ?? null,
    ],
  );
}

export async function recordFailed(client: pg.ClientBase, id: string, error: unknown): Promise<void> {
  await client.query(
    `update holdfast.tenant_backups set status = 'failed', finished_at = clock_timestamp(), leased_until = null, error = $2
      where id = $1`,
    [id, JSON.stringify(describeError(error))],
  );
}

/** Makes the catalog say what a manifest says. The same row whether it is written after a backup or by a rebuild. */
export async function registerBackup(
  client: pg.ClientBase,
  manifest: Manifest,
  manifestSha256: string,
  verifiedAt?: string,
): Promise<void> {
  const tables = manifest.excluded.length > 0 ? manifest.tables.map((t) => t.name) : null;
  await client.query(
    `insert into holdfast.tenant_backups (id, tenant, type, status, parent_id, epoch, started_at, finished_at, horizon,
            log_from, log_to, tables, bytes, raw_bytes, rows, changes, objects, manifest_sha256, verified_at)
     values ($1, $2, $3, 'complete', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
     on conflict (id) do update set status = 'complete', tenant = excluded.tenant, type = excluded.type,
            parent_id = excluded.parent_id, epoch = excluded.epoch, started_at = excluded.started_at,
            finished_at = excluded.finished_at, horizon = excluded.horizon, log_from = excluded.log_from,
            log_to = excluded.log_to, tables = excluded.tables, bytes = excluded.bytes, raw_bytes = excluded.raw_bytes,
            rows = excluded.rows, changes = excluded.changes, objects = excluded.objects,
            manifest_sha256 = excluded.manifest_sha256, leased_until = null,
            verified_at = coalesce(excluded.verified_at, holdfast.tenant_backups.verified_at), error = null`,
    [
      manifest.id,
      manifest.tenant,
      manifest.type,
      manifest.parent,
      manifest.epoch,
      manifest.startedAt,
      manifest.finishedAt,
      manifest.horizon,
      manifest.log.from,
      manifest.log.to,
      tables,
      manifest.totals.bytes,
      manifest.totals.rawBytes,
      manifest.totals.rows,
      manifest.totals.changes,
      manifest.objects.length,
      manifestSha256,
      verifiedAt ?? null,
    ],
  );
}

/** Makes the catalog say what a restore test found. Results are given oldest first: the last one counts, and when one last passed. */
export async function registerProof(client: pg.ClientBase, { backup, at, result }: StoredProof): Promise<void> {
  await client.query(
    'update holdfast.tenant_backups set proof = $2, proven_at = case when $3 then $4 else proven_at end where id = $1',
    [backup, JSON.stringify(result), result.ok === true, at],
  );
}

export function describeError(error: unknown): Record<string, unknown> {
  if (error instanceof HoldfastError) return error.toJSON();
  return { code: (error as { code?: string }).code, message: (error as Error).message };
}

export const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
