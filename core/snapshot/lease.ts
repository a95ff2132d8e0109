/**
 * One backup of a scope at a time. A run in one process holds an advisory lock, which goes with its connection. A run whose steps
 * are processes of their own holds a lease in the catalog, which its steps renew and which ends by itself; each of them is refused
 * while the other is there.
 */
import type pg from 'pg';
import { DatabaseError } from '../errors.ts';

/** Longer than the longest step, so that a step that is at work has not lost its lease. */
export const LEASE_SECONDS = 1800;

/** @throws DatabaseError HF_BACKUP_RUNNING when another run has the scope */
export async function claimScope(client: pg.Client, tenant: string | null, execution?: string): Promise<void> {
  const { rows } = await client.query<{ locked: boolean }>(
    "select pg_try_advisory_lock(hashtextextended('holdfast.backup ' || $1, 0)) as locked",
    [tenant ?? ''],
  );
  if (!rows[0]!.locked) {
    throw running(tenant, 'The lock goes with its connection, so a killed run does not hold it.');
  }
  const leased = await client.query<{ until: string }>(
    `select leased_until::text as until from holdfast.tenant_backups
      where tenant is not distinct from $1 and status = 'running' and leased_until > clock_timestamp()
        and execution is distinct from $2`,
    [tenant, execution ?? null],
  );
  const until = leased.rows[0]?.until;
  if (until) throw running(tenant, `If its workflow was stopped, its lease ends at ${until}.`);
}

const running = (tenant: string | null, hint: string) =>
  new DatabaseError('HF_BACKUP_RUNNING', `A backup of ${tenant ?? 'the whole database'} is running already.`, {
    action: `Wait until it has ended. ${hint}`,
    details: { tenant },
  });

/**
 * Says that the execution is still at work on its backup.
 * @throws DatabaseError HF_LEASE_LOST when the backup has ended or another execution goes on with it
 */
export async function renewLease(client: pg.Client, backup: string, execution: string): Promise<void> {
  const { rowCount } = await client.query(
    `update holdfast.tenant_backups set leased_until = clock_timestamp() + make_interval(secs => $3)
      where id = $1 and execution = $2 and status = 'running'`,
    [backup, execution, LEASE_SECONDS],
  );
  if (rowCount === 1) return;
  throw new DatabaseError('HF_LEASE_LOST', `Backup ${backup} is no longer this execution's.`, {
    action: 'Nothing to do: it has ended, or another execution goes on with it.',
    details: { backup, execution },
  });
}

/** What an execution has made so far: the latest backup that it began. */
export async function backupOf(
  client: pg.Client,
  execution: string,
): Promise<{ readonly id: string; readonly tenant: string | null; readonly status: string } | undefined> {
  const { rows } = await client.query<{ id: string; tenant: string | null; status: string }>(
    'select id, tenant, status from holdfast.tenant_backups where execution = $1 order by started_at desc limit 1',
    [execution],
  );
  return rows[0];
}
