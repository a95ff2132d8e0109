/** Connections that a backup reads through. */
import type pg from 'pg';
import { DatabaseError } from '../errors.ts';
import { connect } from '../sql.ts';

const SESSION = {
  lock_timeout: '60s',
  // How many cores a backup takes from the users of a server is decided by the number of readers, and compiling a statement
  // costs more than it saves here.
  max_parallel_workers_per_gather: '0',
  jit: 'off',
  work_mem: '32MB',
};

/** A connection with the settings of a backup. @throws DatabaseError as `connect` does */
export async function connectReader(url: string): Promise<pg.Client> {
  const client = await connect(url, 'holdfast-backup');
  const settings = Object.entries(SESSION).map(([name, value]) => `set_config('${name}', '${value}', false)`);
  await client.query(`select ${settings.join(', ')}`);
  return client;
}

/** Works with a second connection where the server has one to spare; with the first one alone it only takes longer. */
export async function withReaders<T>(
  url: string,
  main: pg.Client,
  work: (clients: readonly pg.Client[]) => Promise<T>,
): Promise<T> {
  const second = await connectReader(url).catch((error: unknown) => {
    if (error instanceof DatabaseError) return undefined;
    throw error;
  });
  if (!second) return work([main]);
  try {
    return await work([main, second]);
  } finally {
    await second.end();
  }
}
