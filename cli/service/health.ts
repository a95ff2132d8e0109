/** Whether all is well, in one word and the facts behind it. */
import type pg from 'pg';
import type { SchedulerStatus } from '../../adapters/local/scheduler.ts';

/** A scheduler that has not looked at the clock for so long does not work. */
const STALLED_MS = 120_000;

export interface Health {
  /** `attention`: it works, and in the last day something was missed, late, skipped or failed. */
  readonly status: 'ok' | 'attention' | 'failing';
  readonly startedAt: string;
  readonly scheduler: {
    readonly lastLook: string | null;
    readonly nextLook: string | null;
    readonly error: string | null;
  };
  readonly schedules: number;
  readonly runs: { readonly waiting: number; readonly running: number };
  readonly lastDay: {
    readonly missed: number;
    readonly late: number;
    readonly skipped: number;
    readonly failed: number;
  };
  readonly lastBackup: string | null;
}

export async function health(
  client: pg.Client,
  props: { readonly startedAt: number; readonly scheduler: () => SchedulerStatus },
  now: number,
): Promise<Health> {
  const { rows } = await client.query(
    `select (select count(*)::int from holdfast.tenant_backup_schedules where removed_at is null) as schedules,
            (select count(*)::int from holdfast.schedule_runs where state = 'waiting') as waiting,
            (select count(*)::int from holdfast.schedule_runs where state = 'running') as running,
            (select to_jsonb(max(finished_at)) from holdfast.tenant_backups where status = 'complete') as last_backup,
            d.*
       from (select coalesce(sum(missed), 0)::int as missed, count(late_at)::int as late,
                    count(*) filter (where state = 'skipped')::int as skipped,
                    count(*) filter (where state = 'failed')::int as failed
               from holdfast.schedule_runs where due > $1) d`,
    [new Date(now - 86_400_000)],
  );
  const { schedules, waiting, running, last_backup, ...lastDay } = rows[0];
  const { lastLook, nextLook, error } = props.scheduler();
  const stalled = error !== null || now - (lastLook ?? props.startedAt) > STALLED_MS;
  const troubled = Object.values(lastDay as Health['lastDay']).some((n) => n > 0);
  return {
    status: stalled ? 'failing' : troubled ? 'attention' : 'ok',
    startedAt: new Date(props.startedAt).toISOString(),
    scheduler: { lastLook: iso(lastLook), nextLook: iso(nextLook), error },
    schedules,
    runs: { waiting, running },
    lastDay,
    lastBackup: last_backup,
  };
}

const iso = (instant: number | null): string | null => (instant === null ? null : new Date(instant).toISOString());
