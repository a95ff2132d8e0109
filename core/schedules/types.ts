/** A schedule, and its runs. Plain frozen data; instants are milliseconds since the Unix epoch. */

/** What a schedule runs; core/schedules/jobs.ts says by which workflow. */
export const JOB_TYPES = [
  'full',
  'incremental',
  'differential',
  'transaction_log',
  'files',
  'config',
  'snapshot',
  'cleanup',
  'validate',
] as const;
export type JobType = (typeof JOB_TYPES)[number];

/**
 * When a run comes due while the one before it has not ended: `skip` leaves it out, `queue` lets one wait. Either way it is
 * recorded, and never do two run at once.
 */
export type Overlap = 'skip' | 'queue';

/** What a person writes, in holdfast.yaml or at run time. */
export interface Definition {
  /** Unique among the schedules of its tenant: lower-case letters, digits and hyphens. */
  readonly name: string;
  /** null: the whole database. */
  readonly tenant: string | null;
  readonly type: JobType;
  /** Five fields, as core/schedules/cron.ts reads them. */
  readonly cron: string;
  /** IANA name. */
  readonly timeZone: string;
  /** Minutes over which the starts of many such schedules are spread; each has its own share, always the same. */
  readonly spread: number;
  readonly overlap: Overlap;
  /** Minutes after which a run that has not begun is late. */
  readonly grace: number;
  readonly enabled: boolean;
}

/** A schedule as it stands in the database. */
export interface Schedule extends Definition {
  readonly id: string;
  /** `file`: from holdfast.yaml, and changed there. */
  readonly origin: 'file' | 'operator';
  readonly lastRun: number | null;
  /** When its next run may start, its share of the spread included; null: not worked out yet. */
  readonly nextRun: number | null;
  readonly changedBy: string;
}

export type RunState = 'waiting' | 'running' | 'succeeded' | 'failed' | 'skipped';

export interface Run {
  readonly id: string;
  readonly schedule: string;
  readonly tenant: string | null;
  readonly type: JobType;
  readonly due: number;
  readonly startAfter: number;
  readonly deadline: number;
  readonly state: RunState;
  /** Earlier times that went by unnoticed, for which this one run stands. */
  readonly missed: number;
  readonly missedSince: number | null;
  /** When it was noticed to be late. */
  readonly lateAt: number | null;
  readonly execution: string | null;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly reason: string | null;
  readonly error: { readonly code?: string; readonly message: string } | null;
}
