/** Tells an outside clock of the schedules that were made, changed or removed at run time. */
import type pg from 'pg';
import type { Scheduler } from '../ports.ts';
import { JOBS, jobInput } from './jobs.ts';
import { SCHEDULE_COLUMNS, toSchedule } from './store.ts';

const BATCH = 100;

export interface PlaceReport {
  readonly put: number;
  readonly removed: number;
}

/**
 * Whatever it has not been told yet. May be killed and repeated: what was told twice changes nothing. What holdfast.yaml says
 * for the whole database is left to the stacks, which make it.
 * @param all tell everything anew, for instance to another group. @default false
 */
export async function placeSchedules(client: pg.Client, scheduler: Scheduler, all = false): Promise<PlaceReport> {
  const report = { put: 0, removed: 0 };
  for (let after = '0'; ; ) {
    const { rows } = await client.query(
      `select ${SCHEDULE_COLUMNS}, s.revision::text, s.removed_at is not null or s.origin = 'file' and s.tenant is null as gone
         from holdfast.tenant_backup_schedules s
        where s.id > $1 and ($2 or s.placed_revision <> s.revision)
          and (s.origin = 'operator' or s.tenant is not null or s.placed_revision > 0)
        order by s.id limit ${BATCH}`,
      [after, all],
    );
    for (const row of rows) {
      const { id, type, tenant, cron, timeZone, spread, enabled } = toSchedule(row);
      if (row.gone) {
        await scheduler.remove(id);
        report.removed += 1;
      } else {
        const { workflow } = JOBS[type];
        await scheduler.put({ id, cron, timeZone, spread, enabled, workflow, input: jobInput(type, tenant) });
        report.put += 1;
      }
      // The revision that was read: a change that came meanwhile is told next time.
      await client.query('update holdfast.tenant_backup_schedules set placed_revision = $2 where id = $1', [
        id,
        row.revision,
      ]);
    }
    if (rows.length < BATCH) return report;
    after = rows.at(-1)!.id;
  }
}
