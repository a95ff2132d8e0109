/** A database that is being made: it must be empty, and until it is whole nobody can take it for whole. */
import { DatabaseError } from '../errors.ts';
import { type Client, ident, literal } from '../sql.ts';

const MARKER = 'holdfast_restoring';

/** @throws DatabaseError HF_TARGET_NOT_EMPTY naming what is there */
export async function requireEmpty(client: Client): Promise<void> {
  const { rows } = await client.query(
    `select n.nspname || '.' || c.relname as name, n.nspname = $1 as unfinished
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
        and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
     union all select nspname, true from pg_namespace where nspname = $1
      order by 2 desc, 1 limit 5`,
    [MARKER],
  );
  if (rows.length === 0) return;
  const unfinished = rows.some((r) => r.unfinished);
  const names = rows.map((r) => r.name as string);
  throw new DatabaseError(
    'HF_TARGET_NOT_EMPTY',
    unfinished
      ? 'A restore into this database was interrupted; what stands in it is incomplete.'
      : `The target database is not empty: it holds ${names.join(', ')}.`,
    {
      action: 'Drop it, create it again from template0, and restart the restore.',
      details: { found: names, unfinished },
    },
  );
}

/** Other sessions can connect, but can write nothing, and everything bears a mark. Returns a note where a right is missing. */
export async function markRestoring(client: Client, what: string): Promise<string[]> {
  await client.query(`create schema ${ident(MARKER)}`);
  await client.query(
    `comment on schema ${ident(MARKER)} is ${literal(`Incomplete: ${what}. Gone when the restore is done.`)}`,
  );
  return setReadOnly(client, true);
}

/** The last step: from here on the database is whole. */
export async function unmark(client: Client): Promise<void> {
  await setReadOnly(client, false);
  await client.query(`drop schema ${ident(MARKER)}`);
}

async function setReadOnly(client: Client, on: boolean): Promise<string[]> {
  const { rows } = await client.query('select current_database() as name');
  const name = rows[0].name as string;
  try {
    await client.query(
      `alter database ${ident(name)} ${on ? 'set default_transaction_read_only = on' : 'reset default_transaction_read_only'}`,
    );
    return [];
  } catch (error) {
    if ((error as { code?: string }).code !== '42501') throw error;
    return [`${name} could not be made read-only while it is being restored: ${(error as Error).message}.`];
  }
}
