import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { EmbeddedServer } from '../../adapters/local/embedded.ts';
import { restoreDatabase } from '../../core/restore/database.ts';
import { restoreTenant } from '../../core/restore/tenant.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { type ProtectedSample, protectedSample } from '../../test/restore/support.ts';
import { createDatabase } from '../../test/support/database.ts';
import { type BenchSuite, ratio } from './suite.ts';

const run = promisify(execFile);
/** Debian's: server and client must be of one version to be compared. */
const PEER = '/usr/lib/postgresql/15/bin';
const TENANTS = 500;

const suite: BenchSuite = {
  name: 'restore',
  description: 'a whole database and one tenant of 500 out of a store, against pg_restore -j2 of the same database',
  async run({ scale, rounds, log }) {
    const peer = existsSync(join(PEER, 'pg_restore'));
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
    await chmod(directory, 0o711); // the server's own account must be able to pass
    const server = await EmbeddedServer.start({
      directory: join(directory, 'server'),
      ...(peer ? { binDirectory: PEER } : {}),
      settings: { shared_buffers: '512MB', max_wal_size: '4GB', max_connections: '50' },
    });
    const usersPerTenant = 8;
    const entriesPerUser = Math.max(1, Math.round(40 * scale));
    log(`making ${TENANTS} tenants`);
    const sample = await protectedSample({ tenants: TENANTS, usersPerTenant, entriesPerUser }, server.url());
    try {
      return await measure(sample, server, { directory, rounds, log, peer });
    } finally {
      await sample.drop();
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    }
  },
};
export default suite;

interface Setting {
  readonly directory: string;
  readonly rounds: number;
  readonly log: (line: string) => void;
  readonly peer: boolean;
}

async function measure(sample: ProtectedSample, server: EmbeddedServer, { directory, rounds, log, peer }: Setting) {
  const { ctx, client } = sample;
  const { manifest } = await backup(ctx, { type: 'full' });
  const dump = join(directory, 'all.dump');
  if (peer) await postgresTool('pg_dump', ['-Fc', '-Z1', '-f', dump, sample.database.name], server);
  const victim = sample.tenants[TENANTS >> 1]!;
  const times = {
    peer: [] as number[],
    whole: [] as number[],
    tenantStore: [] as number[],
    tenantEmpty: [] as number[],
    tenantLive: [] as number[],
  };
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 50);
  for (let n = 0; n < rounds; n++) {
    if (peer) {
      times.peer.push(
        await intoEmpty(server, (_url, name) => postgresTool('pg_restore', ['-j2', '-d', name, dump], server)),
      );
    }
    times.whole.push(await intoEmpty(server, (targetUrl) => restoreDatabase(ctx, { targetUrl })));
    times.tenantEmpty.push(await intoEmpty(server, (targetUrl) => restoreDatabase(ctx, { targetUrl, tenant: victim })));
    for (const [source, kept] of [
      ['store', times.tenantStore],
      ['live', times.tenantLive],
    ] as const) {
      await client.query("update public.journal_entries set body = '' where organization_id = $1", [victim]);
      await client.query(
        'delete from public.comments where author_id in (select id from public.users where organization_id = $1)',
        [victim],
      );
      kept.push(await timed(() => restoreTenant(ctx, { tenant: victim, backup: manifest.id, source })));
    }
    const last = Object.entries(times).map(([name, all]) => `${name} ${all.at(-1)?.toFixed(2) ?? '-'} s`);
    log(`round ${n + 1}: ${last.join(', ')}`);
  }
  clearInterval(watch);
  const against = (own: number[], goal: string) =>
    ratio(peer ? own.map((t, n) => t / times.peer[n]!) : [Number.NaN], goal);
  return {
    ratios: {
      'whole database / pg_restore -j2': against(times.whole, '<= 0.8'),
      'one tenant of 500 into the live database, from the store / pg_restore -j2': against(
        times.tenantStore,
        '<= 0.02',
      ),
      'one tenant of 500 into the live database, from the trail / pg_restore -j2': against(times.tenantLive, '<= 0.02'),
      'one tenant of 500 into an empty database / pg_restore -j2': against(times.tenantEmpty, '<= 0.02'),
    },
    facts: {
      rows: manifest.totals.rows,
      'raw MB': Math.round(manifest.totals.rawBytes / 1e6),
      'peak memory of the restore, MB': Math.round(peak / 1e6),
      server: peer ? 'PostgreSQL 15 (Debian), its pg_restore' : 'embedded; no pg_restore here, so no ratios',
    },
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

async function intoEmpty(
  server: EmbeddedServer,
  work: (url: string, name: string) => Promise<unknown>,
): Promise<number> {
  const target = await createDatabase({ prefix: 'bench', serverUrl: server.url() });
  try {
    return await timed(() => work(target.url, target.name));
  } finally {
    await target.drop();
  }
}

/** The password goes through the environment, not through the list of processes. */
async function postgresTool(tool: string, args: readonly string[], server: EmbeddedServer): Promise<void> {
  const url = new URL(server.url());
  const env = {
    ...process.env,
    PGHOST: url.hostname,
    PGPORT: url.port,
    PGUSER: url.username,
    PGPASSWORD: decodeURIComponent(url.password),
  };
  await run(join(PEER, tool), [...args], { env, maxBuffer: 1 << 26 });
}
