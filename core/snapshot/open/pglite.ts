/** PostgreSQL in this process, in memory: nothing of the backup touches a disk, and no server has to be there. */
import { Worker } from 'node:worker_threads';
import pg from 'pg';
import { DatabaseError } from '../../errors.ts';
import type { SchemaRecord } from '../../schema/types.ts';
import { type Client, ident, literal, PINNED_SETTINGS } from '../../sql.ts';
import { type Engine, orderNote, READER } from './engine.ts';
import { PgliteStream } from './pgliteStream.ts';

/** Extensions that come with PGlite. */
const CONTRIB = new Set(
  (
    'bloom btree_gin btree_gist citext cube dict_int dict_xsyn earthdistance fuzzystrmatch hstore intarray isn lo ltree ' +
    'moddatetime pg_trgm pgcrypto seg tablefunc tcn tsm_system_rows tsm_system_time unaccent uuid_ossp'
  ).split(' '),
);

const contribName = (extension: string): string => extension.replaceAll('-', '_');

/** Names of the extensions of a schema that PGlite does not have. */
export function missingExtensions(schema: SchemaRecord): string[] {
  const named = schema.objects.filter((o) => o.kind === 'extension').map((o) => o.name.replaceAll('"', ''));
  return named.filter((name) => name !== 'plpgsql' && !CONTRIB.has(contribName(name)));
}

/** @throws DatabaseError HF_ENGINE_START */
export async function openPglite(schema: SchemaRecord): Promise<Engine> {
  const contrib = schema.objects
    .filter((o) => o.kind === 'extension')
    .map((o) => contribName(o.name.replaceAll('"', '')))
    .filter((name) => CONTRIB.has(name));
  const worker = new Worker(new URL('./pgliteWorker.ts', import.meta.url), { workerData: { contrib }, execArgv: [] });
  try {
    await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('it ended while starting')));
    });
    worker.on('error', () => {}); // the stream ends with the thread, and the client says so
    const client = await connect(worker);
    await client.query(`create role ${ident(READER)}`);
    return {
      name: 'pglite',
      admin: client,
      queries: client,
      reader: READER,
      notes: orderNote(schema, 'C'),
      kill: async () => {
        await worker.terminate();
      },
      close: async () => {
        await client.end().catch(() => {}); // the thread may be gone already
        await worker.terminate();
      },
    };
  } catch (cause) {
    await worker.terminate();
    throw new DatabaseError(
      'HF_ENGINE_START',
      `PostgreSQL in this process did not start: ${(cause as Error).message}.`,
      {
        cause,
        action: 'Use --engine scratch.',
      },
    );
  }
}

async function connect(worker: Worker): Promise<Client> {
  const client = new pg.Client({
    // node-postgres asks no more of it than a Duplex has
    stream: () => new PgliteStream(worker) as never,
    user: 'postgres',
    database: 'postgres',
    host: 'pglite',
    ssl: false,
  });
  client.on('error', () => {});
  await client.connect();
  const settings = Object.entries(PINNED_SETTINGS).map(([k, v]) => `set_config(${literal(k)}, ${literal(v)}, false)`);
  await client.query(`select ${settings.join(', ')}`);
  return client;
}
