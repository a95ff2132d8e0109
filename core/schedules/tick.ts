/** One look at the clock: everything that a scheduler does, wherever it runs and however often it is woken. */
import type pg from 'pg';
import type { Workflows } from '../ports.ts';
import { begin, noteLate, type RunNote, settle } from './dispatch.ts';
import { planDue } from './planDue.ts';
import { epochSql } from './store.ts';

export interface TickOptions {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** How many runs may go at once. */
  readonly concurrency: number;
}

export interface TickReport {
  readonly planned: number;
  /** Times that went by unnoticed and are made up for by one run of their schedule. */
  readonly missed: number;
  readonly skipped: number;
  readonly started: readonly RunNote[];
  readonly succeeded: readonly RunNote[];
  readonly failed: readonly RunNote[];
  readonly late: readonly RunNote[];
  readonly faults: readonly { readonly schedule: string; readonly message: string }[];
  /** Runs under way now. */
  readonly running: number;
  /** When there will be something to do again, apart from runs ending; null: not as things are. */
  readonly nextLook: number | null;
}

/**
 * Idempotent, and safe beside itself: may be killed anywhere and called again, by several processes at once.
 * @throws what the database throws; a workflow that cannot be begun is in the report instead
 */
export async function tick(client: pg.Client, workflows: Workflows, options: TickOptions): Promise<TickReport> {
  const { now, concurrency } = options;
  const ended = await settle(client, workflows, now);
  const { planned, missed, skipped, faults } = await planDue(client, now);
  const late = await noteLate(client, now);
  const { started, failed } = await begin(client, workflows, now, concurrency);
  return {
    planned,
    missed,
    skipped,
    started,
    succeeded: ended.succeeded,
    failed: [...ended.failed, ...failed],
    late,
    faults,
    ...(await outlook(client, now)),
  };
}

async function outlook(client: pg.Client, now: number): Promise<{ running: number; nextLook: number | null }> {
  const { rows } = await client.query<{ running: number; nextLook: number | null }>(
    `select running, ${epochSql('least(next_run, next_wait)')} as "nextLook" from
       (select min(next_run_at) as next_run from holdfast.tenant_backup_schedules where enabled and removed_at is null) s,
       (select min(start_after) filter (where state = 'waiting' and start_after > $1) as next_wait,
               count(*) filter (where state = 'running')::int as running
          from holdfast.schedule_runs where state in ('waiting', 'running')) r`,
    [new Date(now)],
  );
  return rows[0]!;
}
