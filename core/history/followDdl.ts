import type { Client } from '../sql.ts';

const TRIGGERS = ['holdfast_ddl', 'holdfast_drop', 'holdfast_rewrite'];

/**
 * Creates the event triggers that follow schema changes, where the role may: superusers, and rds_superuser on RDS. Returns
 * whether they are there. New ones wait for startFollowing, so that they do not follow the installation itself.
 */
export async function followDdl(client: Client): Promise<boolean> {
  const { rows } = await client.query(
    "select count(*)::int as n from pg_event_trigger where evtname like 'holdfast\\_%'",
  );
  if (rows[0].n === 3) return true;
  await client.query('savepoint event_triggers');
  try {
    await client.query(
      `create event trigger holdfast_ddl on ddl_command_end
         when tag in ('ALTER TABLE', 'CREATE TABLE', 'CREATE TABLE AS', 'ALTER TYPE', 'CREATE INDEX', 'ALTER INDEX', 'DROP INDEX', 'ALTER SCHEMA')
         execute function holdfast.on_ddl()`,
    );
    await client.query('create event trigger holdfast_drop on sql_drop execute function holdfast.on_drop()');
    await client.query('create event trigger holdfast_rewrite on table_rewrite execute function holdfast.on_rewrite()');
    for (const name of TRIGGERS) await client.query(`alter event trigger ${name} disable`);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code !== '42501') throw error;
    await client.query('rollback to savepoint event_triggers');
    return false;
  }
}

/** Switches the event triggers on where they are this role's, for sessions too that switch ordinary triggers off. */
export async function startFollowing(client: Client): Promise<void> {
  const { rows } = await client.query(
    "select evtname as name from pg_event_trigger where evtname = any ($1) and evtenabled <> 'A' and pg_has_role(evtowner, 'usage')",
    [TRIGGERS],
  );
  for (const row of rows) await client.query(`alter event trigger ${row.name} enable always`);
}
