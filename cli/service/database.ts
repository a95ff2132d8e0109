/** The database that the service works on: one that runs somewhere, or the embedded server. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EmbeddedServer } from '../../adapters/local/embedded.ts';
import { connect, ident } from '../../core/sql.ts';
import type { GlobalOptions } from '../report.ts';
import { namedDatabase } from '../runtime.ts';

export interface ServiceDatabase {
  readonly url: string;
  /** For a person. */
  readonly description: string;
  /** File with the URL, for the embedded server: other commands read it from there. */
  readonly urlFile?: string;
  stop(): Promise<void>;
}

const NAME = 'app';

/** @throws DatabaseError HF_EMBEDDED_START, HF_EMBEDDED_RUNNING, HF_EMBEDDED_PLATFORM */
export async function serviceDatabase(options: GlobalOptions, directory: string): Promise<ServiceDatabase> {
  const named = namedDatabase(options);
  if (named !== undefined) {
    const { hostname, port, pathname } = new URL(named);
    return { url: named, description: `${hostname}:${port || 5432}${pathname}`, stop: async () => {} };
  }
  const server = await EmbeddedServer.start({ directory: join(directory, 'server') });
  try {
    const admin = await connect(server.url());
    try {
      const { rowCount } = await admin.query('select from pg_database where datname = $1', [NAME]);
      if (rowCount === 0) await admin.query(`create database ${ident(NAME)}`);
    } finally {
      await admin.end();
    }
    const url = server.url(NAME);
    const urlFile = join(directory, 'database-url');
    // It holds a password.
    await writeFile(urlFile, `${url}\n`, { mode: 0o600 });
    return {
      url,
      description: `embedded PostgreSQL on port ${server.port}, kept in ${directory}`,
      urlFile,
      stop: () => server.stop(),
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}
