/** PostgreSQL 18 from npm, run as a child process: the default database of one machine, the demo, the tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseError } from '../../core/errors.ts';
import { freePort, readLogin, saveLogin } from './embeddedLogin.ts';
import { canEnter, nativeFolder, type RunAs, serverAccount } from './postgresBinaries.ts';
import { clearStalePid, killHard, readiness, stopWithParent } from './serverProcess.ts';

export interface EmbeddedOptions {
  /** Where data, log-in, port and server log are kept; made when missing, reused when present. */
  readonly directory: string;
  /** @default a free port, remembered in the directory */
  readonly port?: number;
  /** Server settings, e.g. `{ synchronous_commit: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /**
   * `bin` folder of another PostgreSQL, such as `/usr/lib/postgresql/15/bin`. As root, its account must then be able to enter
   * `directory`. @default the one from npm
   */
  readonly binDirectory?: string;
}

/** Commit timestamps are what makes a target time exact; see docs/architecture.md, "Moments and cuts". */
const SETTINGS = {
  track_commit_timestamp: 'on',
  unix_socket_directories: '',
  listen_addresses: '127.0.0.1',
  lc_messages: 'C',
  log_checkpoints: 'off',
};

const START_SECONDS = 60;
const STOP_SECONDS = 30;

interface Launch {
  readonly directory: string;
  readonly bin: string;
  readonly account: RunAs | undefined;
  /** How the server's own account names its data folder. */
  readonly pgdata: string;
  readonly settings: Readonly<Record<string, string>>;
}

export class EmbeddedServer {
  readonly port: number;
  readonly dataDirectory: string;
  readonly #password: string;
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;

  private constructor(child: ChildProcess, dataDirectory: string, port: number, password: string) {
    this.#process = child;
    this.#exited =
      child.exitCode !== null ? Promise.resolve() : new Promise((done) => child.once('exit', () => done()));
    this.dataDirectory = dataDirectory;
    this.port = port;
    this.#password = password;
  }

  /**
   * Starts the server, making its data folder first where there is none. It stops when this process ends, however that
   * happens.
   * @throws DatabaseError HF_EMBEDDED_START with the server's own words, HF_EMBEDDED_RUNNING, HF_EMBEDDED_PLATFORM,
   * HF_EMBEDDED_ACCOUNT
   */
  static async start(options: EmbeddedOptions): Promise<EmbeddedServer> {
    const directory = resolve(options.directory);
    // The server's account must be able to pass through (not read) a folder that root makes.
    await mkdir(directory, { recursive: true, mode: 0o711 });
    const account = await serverAccount();
    const dataDirectory = join(directory, 'data');
    const launch: Launch = {
      directory,
      account,
      bin: options.binDirectory ?? join(await nativeFolder(account), 'bin'),
      // A server whose account cannot enter the folders above is put into its data folder and knows it by that.
      // Programs before PostgreSQL 16 change folders as they start, so this is for our own only.
      pgdata:
        options.binDirectory !== undefined || (await canEnter(directory, account)) ? dataDirectory : '/proc/self/cwd',
      settings: { ...SETTINGS, ...options.settings },
    };
    const login = await readLogin(directory);
    if (!existsSync(join(dataDirectory, 'PG_VERSION'))) {
      await initialise(launch, dataDirectory, login.password, options.binDirectory === undefined);
    }
    await clearStalePid(dataDirectory);
    let port = options.port ?? login.port;
    for (let attempt = 1; ; attempt++) {
      const child = launchServer(launch, dataDirectory, port);
      const trouble = await readiness(child, dataDirectory, START_SECONDS);
      if (trouble === undefined) {
        stopWithParent(child);
        if (port !== login.port) await saveLogin(directory, { ...login, port });
        return new EmbeddedServer(child, dataDirectory, port, login.password);
      }
      const log = await readFile(join(directory, 'server.log'), 'utf8');
      if (attempt < 5 && options.port === undefined && /Address already in use/.test(log)) port = await freePort();
      else if (attempt < 20 && /pre-existing shared memory block/.test(log))
        await sleep(250); // children of a killed server
      else throw startError(`${trouble}: ${reason(log)}`, { directory, port, log: log.slice(-4000) });
    }
  }

  url(database = 'postgres', user = 'postgres', password = this.#password): string {
    return `postgres://${user}:${password}@127.0.0.1:${this.port}/${database}`;
  }

  /** Ends all sessions, writes everything out, returns when the process is gone. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill('SIGINT');
    const timer = setTimeout(() => this.#process.kill('SIGQUIT'), STOP_SECONDS * 1000);
    await this.#exited;
    clearTimeout(timer);
  }

  /** For crash tests: the whole server dies at once, as when the power goes. `start` on the same folder recovers. */
  async kill9(): Promise<void> {
    await killHard(this.#process.pid!);
    await this.#exited;
  }
}

/** Runs a program of the server as its account, in its data folder, apart from the terminal's signals. */
function run(launch: Launch, program: string, args: string[], cwd: string, log: number): ChildProcess {
  return spawn(join(launch.bin, program), args, {
    cwd,
    detached: true,
    stdio: ['ignore', log, log],
    // Without PGDATA, PGPORT and the like of whoever started us.
    env: { PATH: process.env.PATH, LC_ALL: 'C', ...(process.env.TZ ? { TZ: process.env.TZ } : {}) },
    ...launch.account,
  });
}

function launchServer(launch: Launch, dataDirectory: string, port: number): ChildProcess {
  const log = openSync(join(launch.directory, 'server.log'), 'w', 0o600);
  const settings = Object.entries(launch.settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  try {
    return run(launch, 'postgres', ['-D', launch.pgdata, '-p', String(port), ...settings], dataDirectory, log);
  } finally {
    closeSync(log);
  }
}

async function initialise(launch: Launch, dataDirectory: string, password: string, builtin: boolean): Promise<void> {
  const { account, directory } = launch;
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  const secret = await mkdtemp(join(tmpdir(), 'holdfast-init-'));
  const passwordFile = join(secret, 'password');
  const logFile = join(directory, 'server.log');
  const log = openSync(logFile, 'w', 0o600);
  try {
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
    if (account) for (const path of [secret, passwordFile, dataDirectory]) await chown(path, account.uid, account.gid);
    // The built-in locale sorts the same on every machine, whatever locales are installed on it.
    const locale = builtin
      ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C']
      : ['--locale=C.UTF-8'];
    const args = [
      '-D',
      launch.pgdata,
      '-U',
      'postgres',
      '-A',
      'scram-sha-256',
      `--pwfile=${passwordFile}`,
      '-E',
      'UTF8',
    ];
    const child = run(launch, 'initdb', [...args, ...locale, '--no-sync'], dataDirectory, log);
    const code = await new Promise<number | null | string>((done) => {
      child.once('error', (error) => done(error.message));
      child.once('exit', done);
    });
    if (code !== 0) {
      const text = await readFile(logFile, 'utf8');
      await rm(dataDirectory, { recursive: true, force: true });
      throw startError(`initdb failed (${code}): ${reason(text)}`, { directory, log: text.slice(-4000) });
    }
  } finally {
    closeSync(log);
    await rm(secret, { recursive: true, force: true });
  }
}

/** The line of a server log that says what went wrong. */
function reason(log: string): string {
  const lines = log.split('\n').filter(Boolean);
  return lines.find((line) => /could not bind|FATAL|PANIC|error:/.test(line)) ?? lines.at(-1) ?? 'it wrote no log';
}

function startError(problem: string, details: Record<string, unknown>): DatabaseError {
  return new DatabaseError('HF_EMBEDDED_START', `The embedded PostgreSQL did not start. ${problem}.`, {
    action: `Read server.log in ${details.directory}; if the data folder is damaged, restore into a new one.`,
    details,
  });
}
