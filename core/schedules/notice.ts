/** Tells of a scheduled backup that has not come once: when it is noticed, and not again until one has come. */
import type pg from 'pg';
import { transaction } from '../sql.ts';
import { type Overdue, overdue } from './overdue.ts';

export interface Notice {
  /** All that are owed now. */
  readonly owed: number;
  /** Those that this look was the first to notice. */
  readonly noticed: readonly Overdue[];
}

/**
 * Each that is noticed has a line in the log of steps, which its tenant sees too.
 * @param by names the look: the same again, after it was interrupted, has the same to tell
 */
export async function noticeOverdue(
  client: pg.Client,
  { now, by }: { readonly now: number; readonly by: string },
): Promise<Notice> {
  const all = await overdue(client, now);
  const mine = await transaction(client, '', async () => {
    // One look at a time: two would both be the first.
    await client.query("select pg_advisory_xact_lock(hashtextextended('holdfast.owed', 0))");
    const ids = all.map(({ schedule }) => schedule.id);
    await client.query(
      `update holdfast.tenant_backup_schedules set owed_since = null, noticed_by = null
        where owed_since is not null and not (id = any($1::bigint[]))`,
      [ids],
    );
    await client.query(
      `with noticed as (
         update holdfast.tenant_backup_schedules s set owed_since = to_timestamp($2 / 1000.0), noticed_by = $3
           from jsonb_to_recordset($1) as x(id bigint, due timestamptz, last timestamptz)
          where s.id = x.id and s.owed_since is null
         returning s.tenant, s.name, x.due, x.last)
       insert into holdfast.tenant_backup_logs (tenant, step, result, detail)
       select tenant, 'schedule-owed', 'failed', jsonb_build_object('schedule', name, 'due', due, 'lastBackup', last, 'noticedBy', $3)
         from noticed`,
      [JSON.stringify(all.map(row)), now, by],
    );
    const { rows } = await client.query<{ id: string }>(
      'select id::text from holdfast.tenant_backup_schedules where owed_since is not null and noticed_by = $1',
      [by],
    );
    return new Set(rows.map(({ id }) => id));
  });
  return { owed: all.length, noticed: all.filter(({ schedule }) => mine.has(schedule.id)) };
}

const row = ({ schedule, due, lastBackup }: Overdue) => ({
  id: schedule.id,
  due: new Date(due).toISOString(),
  last: lastBackup === null ? null : new Date(lastBackup).toISOString(),
});
