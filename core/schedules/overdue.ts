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
  files: ['files'],
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
    found.push(...(await unmet(client, expected, now)));
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

/** Runs of the kind `type`, with whose they are and when they began. */
const BACKUPS = "select tenant, type, started_at from holdfast.tenant_backups where status in ('running', 'complete')";
/** Those of users' files are in the log alone. One that has neither ended nor failed after a day was killed. */
const FILE_RUNS = `
  select l.tenant, 'files' as type, l.at as started_at from holdfast.tenant_backup_logs l
   where l.step = 'files' and l.result = 'started'
     and (exists (select from holdfast.tenant_backup_logs e
                   where e.backup_id = l.backup_id and e.step = 'files' and e.result = 'ok')
          or l.at > $2::timestamptz - interval '1 day'
             and not exists (select from holdfast.tenant_backup_logs e
                              where e.backup_id = l.backup_id and e.result = 'failed'))`;

interface Expected {
  readonly schedule: Schedule;
  readonly due: number;
}

async function unmet(client: pg.ClientBase, expected: readonly Expected[], now: number): Promise<Overdue[]> {
  const [files, backups] = [true, false].map((of) => expected.filter((e) => (e.schedule.type === 'files') === of));
  return [
    ...(await unmetBy(client, BACKUPS, [], backups!)),
    ...(await unmetBy(client, FILE_RUNS, [new Date(now)], files!)),
  ];
}

async function unmetBy(
  client: pg.ClientBase,
  runs: string,
  values: readonly Date[],
  expected: readonly Expected[],
): Promise<Overdue[]> {
  if (expected.length === 0) return [];
  const asked = expected.map(({ schedule: { tenant, type } }, i) => ({ i, tenant, types: DOES[type] }));
  const { rows } = await client.query<{ i: number; last: number | null }>(
    `select x.i, ${epochSql('max(b.started_at)')} as last
       from jsonb_to_recordset($1) as x(i int, tenant text, types text[])
       left join (${runs}) b on b.type = any(x.types) and (b.tenant is null or b.tenant = x.tenant)
      group by x.i order by x.i`,
    [JSON.stringify(asked), ...values],
  );
  return rows.flatMap(({ i, last }) => {
    const { schedule, due } = expected[i]!;
    return last !== null && last >= due ? [] : [{ schedule, due, lastBackup: last }];
  });
}
