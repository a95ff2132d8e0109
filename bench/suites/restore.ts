import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { EmbeddedServer } from '../../adapters/local/embedded.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { type ProtectedSample, protectedSample } from '../../test/restore/support.ts';
import { createDatabase } from '../../test/support/database.ts';
import { type BenchSuite, ratio } from './suite.ts';
import { runRestore } from './support/runRestore.ts';

const run = promisify(execFile);
/** Debian's: server and client must be of one version to be compared. */
const PEER = '/usr/lib/postgresql/15/bin';
const TENANTS = 500;
/** How much smaller the database is whose restore shows what memory a restore takes at least. */
const LESS = 20;

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
    log(`making ${TENANTS} tenants, twice: one with ${LESS} times less in it`);
    const make = (entries: number) =>
      protectedSample({ tenants: TENANTS, usersPerTenant, entriesPerUser: entries }, server.url());
    const sample = await make(entriesPerUser);
    const small = await make(Math.max(1, Math.round(entriesPerUser / LESS)));
    try {
      return await measure(sample, small, server, { directory, rounds, log, peer });
    } finally {
      await sample.drop();
      await small.drop();
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

async function measure(
  sample: ProtectedSample,
  small: ProtectedSample,
  server: EmbeddedServer,
  { directory, rounds, log, peer }: Setting,
) {
  const { ctx, client } = sample;
  const { manifest } = await backup(ctx, { type: 'full' });
  const { manifest: smallManifest } = await backup(small.ctx, { type: 'full' });
  const dump = join(directory, 'all.dump');
  if (peer) await postgresTool('pg_dump', ['-Fc', '-Z1', '-f', dump, sample.database.name], server);
  const tenant = sample.tenants[TENANTS >> 1]!;
  const times = {
    peer: [] as number[],
    whole: [] as number[],
    tenantStore: [] as number[],
    tenantEmpty: [] as number[],
    tenantLive: [] as number[],
  };
  const peaks = { whole: [] as number[], small: [] as number[], tenant: [] as number[] };
  for (let n = 0; n < rounds; n++) {
    if (peer) {
      times.peer.push(
        await intoEmpty(server, (_url, name) =>
          timed(() => postgresTool('pg_restore', ['-j2', '-d', name, dump], server)),
        ),
      );
    }
    const whole = await intoEmpty(server, (targetUrl) => runRestore({ store: storeOf(sample), into: { targetUrl } }));
    times.whole.push(whole.seconds);
    peaks.whole.push(whole.peakMegabytes);
    const less = await intoEmpty(server, (targetUrl) => runRestore({ store: storeOf(small), into: { targetUrl } }));
    peaks.small.push(less.peakMegabytes);
    const alone = await intoEmpty(server, (targetUrl) =>
      runRestore({ store: storeOf(sample), into: { targetUrl, tenant } }),
    );
    times.tenantEmpty.push(alone.seconds);
    for (const [source, kept] of [
      ['store', times.tenantStore],
      ['live', times.tenantLive],
    ] as const) {
      await client.query("update public.journal_entries set body = '' where organization_id = $1", [tenant]);
      await client.query(
        'delete from public.comments where author_id in (select id from public.users where organization_id = $1)',
        [tenant],
      );
      const into = { databaseUrl: sample.database.url, tenant, backup: manifest.id, source };
      const figures = await runRestore({ store: storeOf(sample), into });
      kept.push(figures.seconds);
      if (source === 'store') peaks.tenant.push(figures.peakMegabytes);
    }
    const last = Object.entries(times).map(([name, all]) => `${name} ${all.at(-1)?.toFixed(2) ?? '-'} s`);
    const peak = Object.entries(peaks).map(([name, all]) => `${name} ${Math.round(all.at(-1)!)} MB`);
    log(`round ${n + 1}: ${[...last, ...peak].join(', ')}`);
  }
  const against = (own: number[], goal: string) =>
    ratio(peer ? own.map((t, n) => t / times.peer[n]!) : [Number.NaN], goal);
  const megabytes = (bytes: number) => Math.round(bytes / 1e6);
  const grown = (manifest.totals.rawBytes / smallManifest.totals.rawBytes).toFixed(0);
  const median = (values: number[]) => Math.round(ratio(values, '').median);
  return {
    ratios: {
      'whole database / pg_restore -j2': against(times.whole, '<= 0.8'),
      'one tenant of 500 into the live database, from the store / pg_restore -j2': against(
        times.tenantStore,
        '<= 0.02',
      ),
      'one tenant of 500 into the live database, from the trail / pg_restore -j2': against(times.tenantLive, '<= 0.02'),
      'one tenant of 500 into an empty database / pg_restore -j2': against(times.tenantEmpty, '<= 0.02'),
      [`peak memory of a whole restore, data ${grown} x / 1 x`]: ratio(
        peaks.whole.map((peak, n) => peak / peaks.small[n]!),
        '1 (flat)',
      ),
    },
    facts: {
      rows: manifest.totals.rows,
      'raw MB': megabytes(manifest.totals.rawBytes),
      'peak memory of the whole restore, MB': median(peaks.whole),
      [`the same of ${megabytes(smallManifest.totals.rawBytes)} raw MB`]: median(peaks.small),
      'peak memory of one tenant from the store, MB': median(peaks.tenant),
      server: peer ? 'PostgreSQL 15 (Debian), its pg_restore' : 'embedded; no pg_restore here, so no ratios',
    },
  };
}

const storeOf = ({ ctx }: ProtectedSample): string => (ctx.store as DirectoryStore).directory;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

async function intoEmpty<T>(server: EmbeddedServer, work: (url: string, name: string) => Promise<T>): Promise<T> {
  const target = await createDatabase({ prefix: 'bench', serverUrl: server.url() });
  try {
    return await work(target.url, target.name);
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
