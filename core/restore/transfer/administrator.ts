import { RestoreError } from '../../errors.ts';
import type { Client } from '../../sql.ts';

/**
 * Copying between tenants is for a system administrator: one who says so, whose session is not a tenant's, and whose log-in is
 * a member of the role that owns Holdfast in this database.
 * @throws RestoreError HF_ADMINISTRATOR_ONLY
 */
export async function requireAdministrator(client: Client, claimed: boolean): Promise<void> {
  const { rows } = await client.query(
    `select session_user::text as login, pg_has_role(session_user, n.nspowner, 'member') as member,
            coalesce(current_setting('holdfast.tenant', true), '') as tenant
       from pg_namespace n where n.nspname = 'holdfast'`,
  );
  const session = rows[0] as { login: string; member: boolean; tenant: string } | undefined;
  const reason = !claimed
    ? 'nobody said that one asks'
    : !session?.member
      ? `${session?.login ?? 'the log-in'} is not a member of the role that owns the schema holdfast`
      : session.tenant !== ''
        ? `the session is that of tenant ${session.tenant}`
        : undefined;
  if (!reason) return;
  throw new RestoreError(
    'HF_ADMINISTRATOR_ONLY',
    `Copying rows between tenants is for a system administrator: ${reason}.`,
    {
      action: 'Connect as the role that installed Holdfast and pass --as-system-administrator.',
      details: { claimed, login: session?.login ?? null, member: session?.member ?? false },
    },
  );
}
