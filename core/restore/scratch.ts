/** Scratch databases for restore tests: made on a server, dropped afterwards, and swept up when a test was killed. */
import { randomBytes } from 'node:crypto';
import { DatabaseError } from '../errors.ts';
import type { SchemaRecord } from '../schema/types.ts';
import { type Client, connect, ident, literal } from '../sql.ts';

const PREFIX = 'holdfast_scratch_';
/** A test has made its first connection long before. */
const ABANDONED_SECONDS = 120;

/**
 * Runs `work` with the URL of a new database. `serverUrl` is any database of the server that is to hold it.
 * @throws DatabaseError HF_SCRATCH_DENIED when the role may not create databases
 */
export async function withScratch<T>(
  serverUrl: string,
  like: SchemaRecord['database'],
  work: (url: string) => Promise<T>,
): Promise<T> {
  const name = `${PREFIX}${Math.floor(Date.now() / 1000)}_${randomBytes(4).toString('hex')}`;
  const admin = await connect(serverUrl, 'holdfast-scratch');
  try {
    await sweep(admin);
    await create(admin, name, like);
    const url = new URL(serverUrl);
    url.pathname = `/${name}`;
    try {
      return await work(url.href);
    } finally {
      await admin.query(`drop database if exists ${ident(name)} with (force)`);
    }
  } finally {
    await admin.end();
  }
}

async function create(admin: Client, name: string, like: SchemaRecord['database']): Promise<void> {
  const locale = `encoding ${literal(like.encoding)} lc_collate ${literal(like.collate)} lc_ctype ${literal(like.ctype)}`;
  try {
    await admin.query(`create database ${ident(name)} template template0 ${locale}`);
  } catch (cause) {
    if ((cause as { code?: string }).code === '42501') {
      throw new DatabaseError(
        'HF_SCRATCH_DENIED',
        'The database user may not create a scratch database for the restore test.',
        {
          cause,
          action: 'Grant it CREATEDB and run the backup again; or back up with --no-prove, without a restore test.',
        },
      );
    }
    throw cause;
  }
}

/** Drops scratch databases that nobody is connected to any more. */
async function sweep(admin: Client): Promise<void> {
  const { rows } = await admin.query(
    `select datname from pg_database d where starts_with(datname, $1)
        and split_part(substr(datname, $2), '_', 1)::bigint < extract(epoch from now()) - $3
        and not exists (select from pg_stat_activity a where a.datid = d.oid)`,
    [PREFIX, PREFIX.length + 1, ABANDONED_SECONDS],
  );
  for (const { datname } of rows) await admin.query(`drop database if exists ${ident(datname as string)}`);
}
