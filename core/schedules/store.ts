/** The schedules in the database. */
import type pg from 'pg';
import { ConfigError, DatabaseError } from '../errors.ts';
import { transaction } from '../sql.ts';
import { define, type WrittenSchedule } from './define.ts';
import type { Definition, JobType, Overlap, Schedule } from './types.ts';

/** Milliseconds since the epoch, of a timestamptz expression. */
export const epochSql = (expression: string): string => `(extract(epoch from ${expression}) * 1000)::float8`;

/** The columns that `toSchedule` reads, of the table under the name `s`. */
export const SCHEDULE_COLUMNS = `s.id::text, s.name, s.tenant, s.type, s.cron, s.time_zone, s.spread_minutes, s.overlap, s.grace_minutes,
  s.enabled, s.origin, s.changed_by, ${epochSql('s.last_run_at')} as last_run, ${epochSql('s.next_run_at')} as next_run`;

interface Row {
  id: string;
  name: string;
  tenant: string | null;
  type: JobType;
  cron: string;
  time_zone: string;
  spread_minutes: number;
  overlap: Overlap;
  grace_minutes: number;
  enabled: boolean;
  origin: 'file' | 'operator';
  changed_by: string;
  last_run: number | null;
  next_run: number | null;
}

export const toSchedule = (row: Row): Schedule => ({
  id: row.id,
  name: row.name,
  tenant: row.tenant,
  type: row.type,
  cron: row.cron,
  timeZone: row.time_zone,
  spread: row.spread_minutes,
  overlap: row.overlap,
  grace: row.grace_minutes,
  enabled: row.enabled,
  origin: row.origin,
  lastRun: row.last_run,
  nextRun: row.next_run,
  changedBy: row.changed_by,
});

/** By tenant, those of the whole database first, then by name. */
export async function listSchedules(
  client: pg.ClientBase,
  { tenant, limit = 1000 }: { tenant?: string; limit?: number } = {},
): Promise<Schedule[]> {
  const { rows } = await client.query<Row>(
    `select ${SCHEDULE_COLUMNS} from holdfast.tenant_backup_schedules s
      where s.removed_at is null and ($1::text is null or s.tenant = $1)
      order by coalesce(s.tenant, ''), s.name limit $2`,
    [tenant ?? null, limit],
  );
  return rows.map(toSchedule);
}

/** @throws ConfigError HF_SCHEDULE_UNKNOWN, with the names that there are */
async function findSchedule(client: pg.ClientBase, tenant: string | null, name: string): Promise<Schedule> {
  const { rows } = await client.query<Row>(
    `select ${SCHEDULE_COLUMNS} from holdfast.tenant_backup_schedules s
      where s.removed_at is null and s.tenant is not distinct from $1 and s.name = $2`,
    [tenant, name],
  );
  if (rows[0]) return toSchedule(rows[0]);
  const names = await client.query(
    `select name from holdfast.tenant_backup_schedules
      where removed_at is null and tenant is not distinct from $1 order by name limit 20`,
    [tenant],
  );
  const known = names.rows.map((row) => row.name as string);
  const whose = tenant === null ? 'the whole database' : `tenant ${tenant}`;
  throw new ConfigError('HF_SCHEDULE_UNKNOWN', `There is no schedule ${name} of ${whose}.`, {
    action:
      known.length > 0 ? `There are: ${known.join(', ')}.` : 'There are none; make one with holdfast schedules add.',
    details: { tenant, name, known },
  });
}

/**
 * From now on; what would have come due before is not owed.
 * @param by who makes it, for the log
 * @throws ConfigError HF_SCHEDULE_EXISTS, and those of `define`; DatabaseError HF_TENANT_UNKNOWN is the caller's to check
 */
export async function addSchedule(
  client: pg.ClientBase,
  written: WrittenSchedule,
  by: string,
  now: number,
): Promise<Schedule> {
  const definition = define(written);
  const id = await insert(client, definition, { by, now, origin: 'operator' });
  if (id !== undefined) return findSchedule(client, definition.tenant, definition.name);
  throw new ConfigError('HF_SCHEDULE_EXISTS', `${definition.name} is a schedule already.`, {
    action: 'Give it another name with --name, or change the one that is there.',
    details: { tenant: definition.tenant, name: definition.name },
  });
}

/**
 * What is not named stays as it is. A new time, zone or a pause that ends counts from now on.
 * @throws ConfigError HF_SCHEDULE_UNKNOWN, HF_SCHEDULE_IN_FILE, and those of `define`
 */
export async function changeSchedule(
  client: pg.ClientBase,
  { tenant, name }: { tenant: string | null; name: string },
  changes: Partial<Omit<WrittenSchedule, 'name' | 'tenant'>>,
  { by, now }: { by: string; now: number },
): Promise<Schedule> {
  const old = await findSchedule(client, tenant, name);
  ownedByOperator(old);
  const { tenant: _, ...before } = old;
  const definition = define({ ...before, ...(tenant === null ? {} : { tenant }), ...changes });
  await update(client, old, definition, { by, now });
  return findSchedule(client, tenant, name);
}

/** Its runs stay in the list of runs; what waits is not begun. @throws ConfigError HF_SCHEDULE_UNKNOWN, HF_SCHEDULE_IN_FILE */
export async function removeSchedule(
  client: pg.ClientBase,
  { tenant, name }: { tenant: string | null; name: string },
  { by, now }: { by: string; now: number },
): Promise<void> {
  const old = await findSchedule(client, tenant, name);
  ownedByOperator(old);
  await transaction(client as pg.Client, '', () => remove(client, old.id, { by, now }));
}

function ownedByOperator({ origin, name }: Schedule): void {
  if (origin === 'operator') return;
  throw new ConfigError('HF_SCHEDULE_IN_FILE', `${name} is written in holdfast.yaml.`, {
    action: 'Change it there, under schedules:; the running service takes it over.',
    details: { name },
  });
}

export interface Author {
  readonly by: string;
  readonly now: number;
}

export async function insert(
  client: pg.ClientBase,
  d: Definition,
  { by, now, origin }: Author & { origin: Schedule['origin'] },
): Promise<string | undefined> {
  const { rows } = await client.query<{ id: string }>(
    `insert into holdfast.tenant_backup_schedules
            (name, tenant, type, cron, time_zone, spread_minutes, overlap, grace_minutes, enabled, origin, changed_by, planned_to)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict do nothing returning id::text`,
    [d.name, d.tenant, d.type, d.cron, d.timeZone, d.spread, d.overlap, d.grace, d.enabled, origin, by, new Date(now)],
  );
  return rows[0]?.id;
}

export async function update(client: pg.ClientBase, old: Schedule, d: Definition, { by, now }: Author): Promise<void> {
  const anew = old.cron !== d.cron || old.timeZone !== d.timeZone || (d.enabled && !old.enabled);
  await client.query(
    `update holdfast.tenant_backup_schedules
        set type = $2, cron = $3, time_zone = $4, spread_minutes = $5, overlap = $6, grace_minutes = $7, enabled = $8, changed_by = $9,
            planned_to = case when $10 then $11 else planned_to end
      where id = $1`,
    [old.id, d.type, d.cron, d.timeZone, d.spread, d.overlap, d.grace, d.enabled, by, anew, new Date(now)],
  );
}

export async function remove(client: pg.ClientBase, id: string, { by, now }: Author): Promise<void> {
  await client.query('update holdfast.tenant_backup_schedules set removed_at = $2, changed_by = $3 where id = $1', [
    id,
    new Date(now),
    by,
  ]);
  await client.query(
    `update holdfast.schedule_runs set state = 'skipped', finished_at = $2, reason = 'the schedule was removed'
      where schedule_id = $1 and state = 'waiting'`,
    [id, new Date(now)],
  );
}

/** @throws DatabaseError HF_NOT_INSTALLED */
export async function checkSchedulesInstalled(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query("select to_regclass('holdfast.schedule_runs') is not null as yes");
  if (rows[0].yes) return;
  throw new DatabaseError('HF_NOT_INSTALLED', 'This database has no schedules of Holdfast.', {
    action:
      'Check that it is the right database, then run holdfast install; it also brings an older installation up to date.',
  });
}
