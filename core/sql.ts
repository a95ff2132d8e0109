/** Quoting and connections. Values always travel as parameters; only identifiers are ever written into a statement. */
import pg from 'pg';
import { DatabaseError } from './errors.ts';

export type Client = pg.Client | pg.PoolClient;

/**
 * Settings under which every value is turned into text and back. PostgreSQL's text output depends on them, and a backup
 * read under another session's DateStyle would swap day and month.
 */
export const PINNED_SETTINGS: Readonly<Record<string, string>> = Object.freeze({
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: '1',
  bytea_output: 'hex',
  lc_monetary: 'C',
  xmlbinary: 'base64',
  xmloption: 'content',
  search_path: 'pg_catalog',
});

export const ident = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export const qualified = (schema: string, name: string): string => `${ident(schema)}.${ident(name)}`;

/** Only for generated DDL (trigger bodies), where parameters do not exist. */
export const literal = (text: string): string => pg.escapeLiteral(text);

/** Splits the `schema.table` of the data map; parts that need it are double-quoted there, as in SQL. */
export function splitTableName(name: string): { schema: string; relname: string } {
  const parts = name.match(/"(?:[^"]|"")+"|[^."]+/g) ?? [];
  const plain = parts.map((part) => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part));
  return plain.length > 1 ? { schema: plain[0]!, relname: plain[1]! } : { schema: 'public', relname: plain[0] ?? '' };
}

/** The inverse: `schema.table`, quoted only where it must be. */
export function joinTableName(schema: string, relname: string): string {
  const part = (p: string) => (/^[a-z_][a-z0-9_$]*$/.test(p) ? p : ident(p));
  return `${part(schema)}.${part(relname)}`;
}

/** SQL reference for a data-map table name. */
export function tableSql(name: string): string {
  const { schema, relname } = splitTableName(name);
  return qualified(schema, relname);
}

/**
 * Connects with pinned settings. Every Holdfast connection comes from here.
 * @throws DatabaseError HF_DATABASE_URL, HF_DATABASE_UNREACHABLE, HF_DATABASE_AUTH
 */
export async function connect(url: string, applicationName = 'holdfast'): Promise<pg.Client> {
  let client: pg.Client;
  try {
    if (!/^postgres(ql)?:\/\//.test(url)) throw new TypeError('not a postgres:// URL');
    client = new pg.Client({ connectionString: url, application_name: applicationName });
  } catch (cause) {
    throw new DatabaseError('HF_DATABASE_URL', 'The database URL cannot be read.', {
      cause,
      action: 'Write it as postgres://user@host:5432/database and keep the password in PGPASSWORD or ~/.pgpass.',
    });
  }
  // Without a listener, a server that is killed between queries would bring down the process.
  client.on('error', () => {});
  try {
    await client.connect();
  } catch (cause) {
    throw connectionError(cause, url);
  }
  const settings = Object.entries(PINNED_SETTINGS).map(([k, v]) => `set_config(${literal(k)}, ${literal(v)}, false)`);
  await client.query(`select ${settings.join(', ')}`);
  return client;
}

function connectionError(cause: unknown, url: string): DatabaseError {
  const code = (cause as { code?: string }).code ?? '';
  const { hostname, port, pathname } = new URL(url);
  const where = `${hostname || 'localhost'}:${port || 5432}${pathname}`;
  if (code.startsWith('28')) {
    return new DatabaseError(
      'HF_DATABASE_AUTH',
      `PostgreSQL at ${where} refused the log-in: ${(cause as Error).message}.`,
      {
        cause,
        action: 'Check the user and the password, and that pg_hba.conf lets this host in.',
      },
    );
  }
  return new DatabaseError(
    'HF_DATABASE_UNREACHABLE',
    `No connection to PostgreSQL at ${where}: ${(cause as Error).message || code}.`,
    {
      cause,
      action: 'Check that the server runs, that host and port are right, and that the database exists.',
    },
  );
}

/** Runs `work` in one transaction and rolls back when it throws. */
export async function transaction<T>(client: Client, mode: string, work: () => Promise<T>): Promise<T> {
  await client.query(`begin ${mode}`);
  try {
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => {}); // the first error is the one to report
    throw error;
  }
}

/** A short transaction that sees one snapshot and writes nothing; chunks are read in it. */
export const READ_SNAPSHOT = 'isolation level repeatable read read only';
