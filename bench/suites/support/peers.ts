/** The server that benchmarks run on, and the programs that they compare with: Debian's where they are installed. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedServer } from '../../../adapters/local/embedded.ts';

export interface BenchServer {
  readonly server: EmbeddedServer;
  /** Scratch space, removed by `stop`. */
  readonly directory: string;
  /** Folder of pg_dump, psql and pg_restore; undefined: not installed. */
  readonly programs: string | undefined;
  readonly zstd: boolean;
  readonly description: string;
  stop(): Promise<void>;
}

/** As on a database host of this size: a quarter of the memory of a small machine, checkpoints out of the way. */
const SETTINGS = { shared_buffers: '512MB', max_wal_size: '8GB', checkpoint_timeout: '1h', fsync: 'off' };

export async function startBenchServer(settings: Readonly<Record<string, string>> = {}): Promise<BenchServer> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  await chmod(directory, 0o711); // the server's own account passes through
  const programs = debianPrograms();
  const server = await EmbeddedServer.start({
    directory: join(directory, 'server'),
    settings: { ...SETTINGS, ...settings },
    ...(programs ? { binDirectory: programs } : {}),
  });
  return {
    server,
    directory,
    programs,
    zstd: existsSync('/usr/bin/zstd'),
    description: programs
      ? `PostgreSQL of ${programs}`
      : 'embedded PostgreSQL, no peers: install postgresql and zstd for them',
    async stop() {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The newest server that Debian's packages have put here. */
function debianPrograms(): string | undefined {
  const root = '/usr/lib/postgresql';
  if (!existsSync(root)) return undefined;
  const versions = readdirSync(root).sort((a, b) => Number(b) - Number(a));
  return versions
    .map((v) => join(root, v, 'bin'))
    .find((bin) => existsSync(join(bin, 'pg_dump')) && existsSync(join(bin, 'postgres')));
}

/** Runs a shell pipeline with the log-in of a URL in its environment, and gives the seconds it took. */
export async function timedShell(command: string, url: string, input = ''): Promise<number> {
  const { hostname, port, username, password, pathname } = new URL(url);
  const env = {
    ...process.env,
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: username,
    PGPASSWORD: password,
    PGDATABASE: pathname.slice(1),
  };
  const began = performance.now();
  const child = spawn('bash', ['-o', 'pipefail', '-c', command], { env, stdio: ['pipe', 'ignore', 'pipe'] });
  const errors: Buffer[] = [];
  child.stderr.on('data', (piece: Buffer) => errors.push(piece));
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${Buffer.concat(errors)}`);
  return (performance.now() - began) / 1000;
}
