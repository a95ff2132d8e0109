/**
 * Requests that ended without saying so. A run marks its request as applied in the restore's own transaction, so a run whose
 * session is gone and that did not is one that changed nothing.
 */
import type { Client } from '../../sql.ts';
import { endMaintenance, sweepMaintenance } from './maintenance.ts';

const KEY = "hashtextextended('holdfast.request:' || $1, 0)";

/** Held by a session for as long as it runs the request. */
export async function holdRequest(client: Client, id: string): Promise<boolean> {
  const { rows } = await client.query(`select pg_try_advisory_lock(${KEY}) as free`, [id]);
  return rows[0].free as boolean;
}

export async function letGoOfRequest(client: Client, id: string): Promise<void> {
  await client.query(`select pg_advisory_unlock(${KEY})`, [id]);
}

export interface SettledRequests {
  /** Requests whose run was killed: they have failed, and nothing was changed. */
  readonly interrupted: readonly string[];
  /** Requests that nobody decided or applied in time. */
  readonly expired: readonly string[];
  /** Tenants whose maintenance had run out. */
  readonly released: readonly string[];
}

/** Settles what was killed, lets time run out on what nobody decided or applied, and ends maintenance whose lease is over. */
export async function settleRequests(client: Client): Promise<SettledRequests> {
  const interrupted: string[] = [];
  const { rows } = await client.query("select id::text from holdfast.restore_requests where state = 'running'");
  for (const { id } of rows) {
    if (!(await holdRequest(client, id))) continue;
    try {
      if (await settleOne(client, id)) interrupted.push(id);
    } finally {
      await letGoOfRequest(client, id);
    }
  }
  const expired = await client.query(
    `update holdfast.restore_requests set state = 'expired', finished_at = clock_timestamp()
      where state in ('requested', 'approved') and expires_at <= clock_timestamp() returning id::text`,
  );
  const released = await sweepMaintenance(client);
  return { interrupted, expired: expired.rows.map((row) => row.id as string), released };
}

/** A commit that is under way holds the row; the update waits for it and then finds nothing to do. */
async function settleOne(client: Client, id: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `update holdfast.restore_requests set state = 'failed', finished_at = clock_timestamp(), error = $2
      where id = $1 and state = 'running'`,
    [id, JSON.stringify({ code: 'HF_REQUEST_KILLED', message: 'The run ended before it had finished.' })],
  );
  const { rows } = await client.query('select tenant from holdfast.maintenance where request = $1', [id]);
  for (const { tenant } of rows) await endMaintenance(client, tenant, 'holdfast');
  return rowCount === 1;
}
