/**
 * Which scheduled backups have not come, by what the catalog says of backups: whoever was to start them, and whether or not it
 * knows that it did not. On AWS, where EventBridge starts workflows, nobody else looks at each tenant.
 */
import type pg from 'pg';
import { occurrencesBetween } from './occurrences.ts';
import { cronOf } from './plan.ts';
import { epochSql, SCHEDULE_COLUMNS, toSchedule } from './store.ts';
import type { JobType, Schedule } from './types.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;
/** What runs often is found in the first; what runs once a year, in the last. */
const WINDOWS = [2 * DAY, 35 * DAY, 367 * DAY];
const BATCH = 5000;

/** What does for a scheduled backup: every backup holds the changes since the one before it, and a full holds everything. */
const DOES: Partial<Record<JobType, readonly string[]>> = {
  full: ['full'],
  differential: ['full', 'differential'],
  incremental: ['full', 'differential', 'incremental'],
  transaction_log: ['full', 'differential', 'incremental', 'transaction_log'],
};

export interface Overdue {
  readonly schedule: Schedule;
  /** The latest time whose grace is over and which no backup has followed. */
  readonly due: number;
  /** When the last backup that would do began; null: never. */
  readonly lastBackup: number | null;
}

/** A backup of the whole database does for each tenant; one that runs counts. Times before a schedule's last change do not. */
export async function overdue(client: pg.ClientBase, now: number): Promise<Overdue[]> {
  const found: Overdue[] = [];
  for (let after = '0'; ; ) {
    const { rows } = await client.query(
      `select ${SCHEDULE_COLUMNS}, ${epochSql('s.changed_at')} as changed_at from holdfast.tenant_backup_schedules s
        where s.id > $1 and s.enabled and s.removed_at is null and s.type = any($2) order by s.id limit ${BATCH}`,
      [after, Object.keys(DOES)],
    );
    const expected = rows.flatMap((row) => {
      const schedule = toSchedule(row);
      const due = latestDue(schedule, row.changed_at, now - (schedule.spread + schedule.grace) * MINUTE);
      return due === undefined ? [] : [{ schedule, due }];
    });
    found.push(...(await unmet(client, expected)));
    if (rows.length < BATCH) return found;
    after = rows.at(-1)!.id;
  }
}

function latestDue({ cron, timeZone }: Schedule, since: number, until: number): number | undefined {
  for (const window of WINDOWS) {
    const from = Math.max(since, until - window);
    if (from >= until) return undefined;
    const { count, last } = occurrencesBetween(cronOf(cron), timeZone, from, until);
    if (count > 0) return last;
  }
  return undefined;
}

async function unmet(
  client: pg.ClientBase,
  expected: readonly { schedule: Schedule; due: number }[],
): Promise<Overdue[]> {
  const asked = expected.map(({ schedule: { tenant, type } }, i) => ({ i, tenant, types: DOES[type] }));
  const { rows } = await client.query<{ i: number; last: number | null }>(
    `select x.i, ${epochSql('max(b.started_at)')} as last
       from jsonb_to_recordset($1) as x(i int, tenant text, types text[])
       left join holdfast.tenant_backups b on b.status in ('running', 'complete') and b.type = any(x.types)
             and (b.tenant is null or b.tenant = x.tenant)
      group by x.i order by x.i`,
    [JSON.stringify(asked)],
  );
  return rows.flatMap(({ i, last }) => {
    const { schedule, due } = expected[i]!;
    return last !== null && last >= due ? [] : [{ schedule, due, lastBackup: last }];
  });
}
