/** The runs of schedules, for people and programs that look; and forgetting the old ones. */
import type pg from 'pg';
import { epochSql } from './store.ts';
import type { Run } from './types.ts';

/** How long a run that has ended is kept. */
const KEPT_DAYS = 35;
const BATCH = 10_000;

export interface RunFilter {
  readonly tenant?: string;
  /** Of the schedule. */
  readonly name?: string;
  /** Only those that were missed, late, skipped or failed. */
  readonly troubled?: boolean;
  /** @default 50 */
  readonly limit?: number;
}

/** Latest first. */
export async function listRuns(client: pg.ClientBase, filter: RunFilter = {}): Promise<Run[]> {
  const { rows } = await client.query<Run>(
    `select r.id::text, s.name as schedule, r.tenant, s.type, ${epochSql('r.due')} as due, ${epochSql('r.start_after')} as "startAfter",
            ${epochSql('r.deadline')} as deadline, r.state, r.missed, ${epochSql('r.missed_since')} as "missedSince",
            ${epochSql('r.late_at')} as "lateAt", r.execution, ${epochSql('r.started_at')} as "startedAt",
            ${epochSql('r.finished_at')} as "finishedAt", r.reason, r.error
       from holdfast.schedule_runs r join holdfast.tenant_backup_schedules s on s.id = r.schedule_id
      where ($1::text is null or r.tenant = $1) and ($2::text is null or s.name = $2)
        and (not $3 or r.missed > 0 or r.late_at is not null or r.state in ('skipped', 'failed'))
      order by r.due desc, r.id desc limit $4`,
    [filter.tenant ?? null, filter.name ?? null, filter.troubled ?? false, filter.limit ?? 50],
  );
  return rows;
}

/** A batch at a time, so that no transaction is long; call it now and then. */
export async function pruneRuns(client: pg.ClientBase, now: number): Promise<number> {
  const before = new Date(now - KEPT_DAYS * 86_400_000);
  const { rowCount } = await client.query(
    `delete from holdfast.schedule_runs where id in
       (select id from holdfast.schedule_runs where finished_at < $1 order by finished_at limit ${BATCH})`,
    [before],
  );
  await client.query(
    `delete from holdfast.tenant_backup_schedules s
      where removed_at < $1 and not exists (select from holdfast.schedule_runs r where r.schedule_id = s.id)
        and placed_revision in (0, revision)`,
    [before],
  );
  return rowCount ?? 0;
}
