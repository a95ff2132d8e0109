/** A scratch database on a server that the caller names or starts; it is dropped when the backup is closed. */
import { randomBytes } from 'node:crypto';
import { DatabaseError } from '../../errors.ts';
import { withScratch } from '../../restore/scratch.ts';
import type { SchemaRecord } from '../../schema/types.ts';
import { type Client, connect, ident, literal } from '../../sql.ts';
import { type Engine, orderNote, READER } from './engine.ts';

/**
 * @param serverUrl any database of the server
 * @param release called when the scratch database is gone
 * @throws DatabaseError HF_SCRATCH_DENIED
 */
export async function openScratch(
  serverUrl: string,
  schema: SchemaRecord,
  release: () => Promise<void> = async () => {},
): Promise<Engine> {
  const like = await availableLocale(serverUrl, schema.database);
  let close: () => void = () => {};
  const closed = new Promise<void>((resolve) => {
    close = resolve;
  });
  return new Promise<Engine>((opened, failed) => {
    const life = withScratch(serverUrl, like, async (url) => {
      const admin = await connect(url, 'holdfast-query');
      const reader = `${READER}_${randomBytes(4).toString('hex')}`;
      try {
        const queries = await asReader(admin, url, reader);
        const end = async () => {
          close();
          await life;
        };
        opened({
          name: 'scratch',
          admin,
          queries,
          reader,
          notes: orderNote(schema, like.collate),
          kill: end,
          close: end,
        });
        await closed;
        await queries.end().catch(() => {}); // it may have been cut off
        await dropReader(admin, reader);
      } finally {
        await admin.end();
      }
    }).finally(release);
    life.catch(failed);
  });
}

/** A role of its own with a log-in of its own: a query cannot climb back to rights that its session never had. */
async function asReader(admin: Client, url: string, reader: string): Promise<Client> {
  const password = randomBytes(24).toString('base64url');
  try {
    await admin.query(
      `create role ${ident(reader)} login password ${literal(password)} nosuperuser nocreatedb nocreaterole noinherit`,
    );
  } catch (cause) {
    if ((cause as { code?: string }).code !== '42501') throw cause;
    throw new DatabaseError('HF_SCRATCH_DENIED', 'The database user may not create the role that queries run in.', {
      cause,
      action: 'Grant it CREATEROLE, name another server, or name none: one is then started for the time of the query.',
    });
  }
  const own = new URL(url);
  own.username = reader;
  own.password = password;
  const client = await connect(own.href, 'holdfast-query');
  await client.query("select set_config('default_transaction_read_only', 'on', false)");
  return client;
}

async function dropReader(admin: Client, reader: string): Promise<void> {
  await admin.query(`drop owned by ${ident(reader)}`);
  await admin.query(`drop role ${ident(reader)}`);
}

/** The recorded locale where this server has it; else code point order, and the note that goes with it. */
async function availableLocale(serverUrl: string, wanted: SchemaRecord['database']): Promise<SchemaRecord['database']> {
  const client = await connect(serverUrl, 'holdfast-query');
  try {
    const { rows } = await client.query<{ there: boolean }>(
      `select $1 in ('C', 'POSIX') or exists (select from pg_collation where lower(replace(collcollate, '-', '')) = lower(replace($1, '-', ''))) as there`,
      [wanted.collate],
    );
    return rows[0]!.there ? wanted : { encoding: wanted.encoding, collate: 'C', ctype: 'C' };
  } finally {
    await client.end();
  }
}
