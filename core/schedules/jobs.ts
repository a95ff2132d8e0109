/** Which workflow a schedule runs, with which input, and what it may not run beside. */
import type { JobType } from './types.ts';

interface Job {
  readonly workflow: string;
  /** Whether it can be made for one tenant alone. */
  readonly perTenant: boolean;
  readonly input: Readonly<Record<string, unknown>>;
  /** Two backups of one tenant would refuse each other; they take turns. */
  readonly lane: string;
  /** Minutes after which a run is late. */
  readonly grace: number;
}

const backup = (type: string): Job => ({
  workflow: 'backup',
  perTenant: true,
  input: { type },
  lane: 'backup',
  grace: 60,
});
const alone = (workflow: string, grace: number): Job => ({
  workflow,
  perTenant: false,
  input: {},
  lane: workflow,
  grace,
});

export const JOBS: Readonly<Record<JobType, Job>> = Object.freeze({
  full: backup('full'),
  incremental: backup('incremental'),
  differential: backup('differential'),
  transaction_log: { ...backup('transaction_log'), workflow: 'log-backup', input: {}, grace: 15 },
  files: { workflow: 'files', perTenant: true, input: {}, lane: 'files', grace: 60 },
  config: alone('config-backup', 60),
  snapshot: alone('snapshot', 60),
  cleanup: alone('cleanup', 720),
  validate: alone('integrity-check', 720),
});

/** The input of the workflow. */
export function jobInput(type: JobType, tenant: string | null): Record<string, unknown> {
  return { ...JOBS[type].input, ...(tenant === null ? {} : { tenant }) };
}

export const laneOf = (type: JobType, tenant: string | null): string =>
  tenant === null ? JOBS[type].lane : `${JOBS[type].lane} ${tenant}`;
