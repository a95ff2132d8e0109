import type { BoundMap } from '../datamap/types.ts';
import { DatabaseError } from '../errors.ts';
import type { Client } from '../sql.ts';

/**
 * Checks before anything is done that the role owns the tables (only an owner can make a trigger fire always) and may create
 * a schema.
 * @throws DatabaseError HF_RIGHTS_MISSING naming each right
 */
export async function checkRights(client: Client, bound: BoundMap): Promise<void> {
  const { rows } = await client.query(
    `select 'ownership of ' || c.oid::regclass::text as missing from pg_class c
      where c.oid = any ($1::oid[]) and not pg_has_role(c.relowner, 'usage')
     union all
     select 'CREATE on database ' || current_database()
      where to_regnamespace('holdfast') is null and not has_database_privilege(current_database(), 'create')
     union all
     select 'ownership of schema holdfast' from pg_namespace n where n.nspname = 'holdfast' and not pg_has_role(n.nspowner, 'usage')`,
    [bound.tables.map((t) => t.oid)],
  );
  if (rows.length === 0) return;
  const missing = rows.map((row) => row.missing as string);
  const role = (await client.query('select current_user as role')).rows[0].role as string;
  throw new DatabaseError('HF_RIGHTS_MISSING', `The role ${role} lacks ${missing.join(', ')}.`, {
    action: 'Connect as the owner of the tables, or let an administrator grant these rights.',
    details: { role, missing },
  });
}
