import type { Client } from '../sql.ts';

/**
 * Creates the event triggers that follow schema changes, where the role may: superusers, and rds_superuser on RDS. Returns
 * whether they are there.
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
    await client.query('alter event trigger holdfast_ddl enable always');
    await client.query('alter event trigger holdfast_rewrite enable always');
    await client.query('alter event trigger holdfast_drop enable always');
    return true;
  } catch (error) {
    if ((error as { code?: string }).code !== '42501') throw error;
    await client.query('rollback to savepoint event_triggers');
    return false;
  }
}
