/** Single-row updates as fast as two clients can send them: pgbench where it is installed, else this process. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { connect } from '../../../../core/sql.ts';

export interface Load {
  readonly url: string;
  readonly rows: number;
  readonly seconds: number;
  readonly script: string;
  readonly pgbench: string | undefined;
}

/** Transactions per second. */
export async function singleUpdates(load: Load): Promise<number> {
  return load.pgbench ? byPgbench(load, load.pgbench) : byNode(load);
}

async function byPgbench(load: Load, pgbench: string): Promise<number> {
  const { hostname, port, username, password, pathname } = new URL(load.url);
  const env = { ...process.env, PGHOST: hostname, PGPORT: port, PGUSER: username, PGPASSWORD: password };
  const flags = ['-n', '-M', 'prepared', '-c', '2', '-j', '1', '-T', String(load.seconds), '-f', load.script];
  const { stdout } = await promisify(execFile)(pgbench, [...flags, pathname.slice(1)], { env });
  return Number(/tps = ([\d.]+)/.exec(stdout)![1]);
}

async function byNode({ url, rows, seconds }: Load): Promise<number> {
  const clients = await Promise.all([connect(url), connect(url)]);
  const end = performance.now() + seconds * 1000;
  let count = 0;
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < end) {
        await client.query({
          name: 'update',
          text: 'update public.accounts set visits = visits + 1, updated_at = now() where id = $1',
          values: [1 + Math.floor(Math.random() * rows)],
        });
        count += 1;
      }
    }),
  );
  await Promise.all(clients.map((client) => client.end()));
  return count / seconds;
}
