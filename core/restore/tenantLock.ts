import { DatabaseError } from '../errors.ts';
import type { Client } from '../sql.ts';

/** SQL for whether this transaction may restore the tenant; if so, no other one may until it ends. `tenant` is SQL for a text. */
export const tenantLockSql = (tenant: string): string =>
  `pg_try_advisory_xact_lock(hashtextextended('holdfast.restore:' || ${tenant}, 0))`;

/**
 * One restore of a tenant at a time, until the transaction ends. Two at once would each be right about a state that the other
 * is changing; the second is told so at once instead of after it has done all its work.
 * @throws DatabaseError HF_RESTORE_BUSY
 */
export async function lockTenant(client: Client, tenant: string): Promise<void> {
  const { rows } = await client.query(`select ${tenantLockSql('$1')} as free`, [tenant]);
  if (!rows[0].free) throw tenantBusy(tenant);
}

export const tenantBusy = (tenant: string): DatabaseError =>
  new DatabaseError('HF_RESTORE_BUSY', `Another restore of tenant ${tenant} is running.`, {
    action: 'Nothing was changed. Wait until it has ended, then preview again: the tenant may be another by then.',
    details: { tenant },
  });
