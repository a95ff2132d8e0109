import { DatabaseError } from '../errors.ts';
import type { Client } from '../sql.ts';

/**
 * One restore of a tenant at a time, until the transaction ends. Two at once would each be right about a state that the other
 * is changing; the second is told so at once instead of after it has done all its work.
 * @throws DatabaseError HF_RESTORE_BUSY
 */
export async function lockTenant(client: Client, tenant: string): Promise<void> {
  const { rows } = await client.query(
    "select pg_try_advisory_xact_lock(hashtextextended('holdfast.restore:' || $1, 0)) as free",
    [tenant],
  );
  if (rows[0].free) return;
  throw new DatabaseError('HF_RESTORE_BUSY', `Another restore of tenant ${tenant} is running.`, {
    action: 'Nothing was changed. Wait until it has ended, then preview again: the tenant may be another by then.',
    details: { tenant },
  });
}
