/** Turns times that came due into runs. */
import type pg from 'pg';
import { transaction } from '../sql.ts';
import { laneOf } from './jobs.ts';
import { type Plan, plan } from './plan.ts';
import { epochSql, SCHEDULE_COLUMNS, toSchedule } from './store.ts';
import type { Schedule } from './types.ts';

/** Schedules in one transaction. */
const BATCH = 1000;
/** A schedule that cannot be planned is looked at again after this. */
const RETRY_MS = 3_600_000;

export interface PlanReport {
  readonly planned: number;
  readonly missed: number;
  readonly skipped: number;
  /** Schedules that could not be planned, with the reason; the others were. */
  readonly faults: readonly { readonly schedule: string; readonly message: string }[];
}

/** One planner at a time, so that a run is counted once. */
export const LOCK = "select pg_advisory_xact_lock(hashtextextended('holdfast.schedules', 0))";

export async function planDue(client: pg.Client, now: number): Promise<PlanReport> {
  const total = { planned: 0, missed: 0, skipped: 0, faults: [] as { schedule: string; message: string }[] };
  for (let found = BATCH; found === BATCH; ) {
    found = await transaction(client, '', async () => {
      await client.query(LOCK);
      const due = await dueSchedules(client, now);
      const plans: Planned[] = [];
      for (const each of due) {
        try {
          plans.push({ ...each, plan: plan(each.schedule, each.progress, now) });
        } catch (error) {
          // What is written there cannot be read here, such as a time zone that this machine does not know.
          total.faults.push({ schedule: each.schedule.name, message: (error as Error).message });
          await postpone(client, each.schedule, now, error as Error);
        }
      }
      await save(client, plans, now);
      for (const { plan } of plans) {
        if (!plan.run) continue;
        total[plan.run.skipped === null ? 'planned' : 'skipped'] += 1;
        total.missed += plan.run.missed;
      }
      return due.length;
    });
  }
  return total;
}

interface Due {
  readonly schedule: Schedule;
  readonly progress: { readonly plannedTo: number; readonly waiting: number; readonly running: number };
}
type Planned = Due & { readonly plan: Plan };

const DUE_SQL = `
  select ${SCHEDULE_COLUMNS}, ${epochSql('s.planned_to')} as planned_to, a.waiting, a.running
    from holdfast.tenant_backup_schedules s
   cross join lateral (select count(*) filter (where r.state = 'waiting')::int as waiting,
                              count(*) filter (where r.state = 'running')::int as running
                         from holdfast.schedule_runs r where r.schedule_id = s.id and r.state in ('waiting', 'running')) a`;

async function dueSchedules(client: pg.Client, now: number): Promise<Due[]> {
  const { rows } = await client.query(
    `${DUE_SQL} where s.enabled and s.removed_at is null and coalesce(s.next_run_at, '-infinity') <= $1
      order by coalesce(s.next_run_at, '-infinity'), s.id limit ${BATCH}`,
    [new Date(now)],
  );
  return rows.map(toDue);
}

// biome-ignore lint/suspicious/noExplicitAny: the columns of DUE_SQL
const toDue = (row: any): Due => ({
  schedule: toSchedule(row),
  progress: { plannedTo: row.planned_to, waiting: row.waiting, running: row.running },
});

const iso = (instant: number | null): string | null => (instant === null ? null : new Date(instant).toISOString());

async function save(client: pg.Client, plans: readonly Planned[], now: number): Promise<void> {
  if (plans.length === 0) return;
  const runs = plans.flatMap(({ schedule, plan: { run } }) =>
    run
      ? [
          {
            schedule_id: schedule.id,
            tenant: schedule.tenant,
            due: iso(run.due),
            start_after: iso(run.startAfter),
            deadline: iso(run.deadline),
            lane: laneOf(schedule.type, schedule.tenant),
            state: run.skipped === null ? 'waiting' : 'skipped',
            missed: run.missed,
            missed_since: iso(run.missedSince),
            finished_at: run.skipped === null ? null : iso(now),
            reason: run.skipped,
          },
        ]
      : [],
  );
  await client.query(
    `insert into holdfast.schedule_runs
            (schedule_id, tenant, due, start_after, deadline, lane, state, missed, missed_since, finished_at, reason)
     select * from jsonb_to_recordset($1) as x(schedule_id bigint, tenant text, due timestamptz, start_after timestamptz,
            deadline timestamptz, lane text, state text, missed int, missed_since timestamptz, finished_at timestamptz, reason text)
     on conflict (schedule_id, due) do nothing`,
    [JSON.stringify(runs)],
  );
  const progress = plans.map(({ schedule, plan }) => ({
    id: schedule.id,
    planned_to: iso(plan.plannedTo),
    next_run: iso(plan.nextRun),
  }));
  await client.query(
    `update holdfast.tenant_backup_schedules s set planned_to = x.planned_to, next_run_at = x.next_run
       from jsonb_to_recordset($1) as x(id bigint, planned_to timestamptz, next_run timestamptz) where s.id = x.id`,
    [JSON.stringify(progress)],
  );
}

async function postpone(client: pg.Client, { id, tenant, name }: Schedule, now: number, error: Error): Promise<void> {
  await client.query('update holdfast.tenant_backup_schedules set next_run_at = $2 where id = $1', [
    id,
    iso(now + RETRY_MS),
  ]);
  await client.query(
    `insert into holdfast.tenant_backup_logs (tenant, step, result, detail)
     values ($1, 'schedule', 'failed', jsonb_build_object('schedule', $2::text, 'what', 'not planned', 'message', $3::text))`,
    [tenant, name, error.message],
  );
}
