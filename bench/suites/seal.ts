/** Verifying the trail (figure 14), and what sealing costs those who write meanwhile. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { KeyFile } from '../../adapters/local/keyFile.ts';
import { bind } from '../../core/datamap/bind.ts';
import type { ColumnRule, DataMap } from '../../core/datamap/types.ts';
import { install } from '../../core/history/install.ts';
import { exportBundle } from '../../core/history/seal/bundle.ts';
import { type SealContext, seal } from '../../core/history/seal/seal.ts';
import { verify } from '../../core/history/seal/verify.ts';
import { verifyBundle } from '../../core/history/seal/verifyBundle.ts';
import { createDatabase, type TestDatabase } from '../../test/support/database.ts';
import { type BenchSuite, ratio } from './suite.ts';
import { singleUpdates } from './support/capture/load.ts';
import { startBenchServer } from './support/peers.ts';

const open: ColumnRule = { class: 'none', sealed: false };
const personal: ColumnRule = { class: 'personal', sealed: true };

const MAP: DataMap = {
  tenants: { table: 'public.tenants', key: 'id' },
  tables: [
    { name: 'public.tenants', tenant: { kind: 'column', column: 'id' }, columns: { id: open }, erase: 'delete' },
    {
      name: 'public.accounts',
      tenant: { kind: 'column', column: 'tenant_id' },
      person: { kind: 'column', column: 'owner_id' },
      columns: {
        id: open,
        tenant_id: open,
        owner_id: open,
        email: personal,
        phone: personal,
        status: open,
        visits: open,
        updated_at: open,
      },
      erase: 'delete',
    },
  ],
  excluded: [],
};

const TENANTS = 200;
const ROWS = 100_000;

const SCHEMA = `
  create table public.tenants (id text primary key);
  create table public.accounts (id int primary key, tenant_id text not null, owner_id text not null, email text, phone text,
    status text, visits int, updated_at timestamptz);
  insert into public.tenants select 'tenant-' || i from generate_series(0, ${TENANTS - 1}) i;
  insert into public.accounts select i, 'tenant-' || i % ${TENANTS}, 'owner-' || i % 5000, 'owner' || i % 5000 || '@example.org',
    '+49 30 ' || i, 'new', 0, now() from generate_series(1, ${ROWS}) i;`;

const suite: BenchSuite = {
  name: 'seal',
  description: 'verifying a sealed trail, and writers while it is sealed',
  async run({ log, scale, rounds }) {
    const rows = Math.max(50_000, Math.round(1_000_000 * scale));
    const server = await startBenchServer({ synchronous_commit: 'off' });
    const database = await createDatabase({ serverUrl: server.server.url(), prefix: 'bench_seal' });
    try {
      const keys = await KeyFile.create(join(server.directory, 'key'));
      const ctx = {
        databaseUrl: database.url,
        keys,
        store: DirectoryStore.open(join(server.directory, 'store')),
        map: MAP,
      };
      await fill(database, rows, log);
      const sealing = await timed(() => seal(ctx));
      log(`sealed ${sealing.value.rows} rows: ${rate(sealing.value.rows, sealing.seconds)}`);
      const verifying: number[] = [];
      const cpu: number[] = [];
      const floor: number[] = [];
      for (let round = 0; round < rounds; round++) {
        const run = await timed(() => verify({ databaseUrl: database.url, trust: keys, store: ctx.store }));
        if (!run.value.ok) throw new Error(run.value.faults[0]!.message);
        verifying.push(run.value.rows / run.seconds);
        cpu.push((run.cpu / run.value.rows) * 1e6);
        floor.push(run.seconds / (await copyTime(database)));
        log(
          `round ${round + 1}: verified ${rate(run.value.rows, run.seconds)}, ${cpu.at(-1)!.toFixed(2)} µs of CPU a row in this process`,
        );
      }
      const bundle = join(server.directory, 'bundle');
      await exportBundle(database.url, 'tenant-1', bundle);
      const offline = await timed(() => verifyBundle(bundle, keys));
      const sizes = await bytes(database);
      const tps = await writers(ctx, database, server.programs, server.directory, rounds, log);
      return {
        ratios: {
          '14. rows verified per second, against 200,000': ratio(
            verifying.map((v) => v / 200_000),
            '>= 1.0',
          ),
          '14. the same by CPU time of the verifying process': ratio(
            cpu.map((us) => 5 / us),
            '>= 1.0',
          ),
          'verification against a bare COPY of the trail, time': ratio(floor, '(comparison)'),
          'tps of writers while the trail is sealed, against without': ratio(tps, '>= 0.95'),
        },
        facts: {
          server: server.description,
          'rows of the trail': sealing.value.rows,
          tenants: TENANTS,
          'rows verified per second': Math.round(median(verifying)),
          'CPU of the verifying process, µs a row': median(cpu).toFixed(2),
          'sealing, rows per second': Math.round(sealing.value.rows / sealing.seconds),
          'a bundle without the database, rows per second': Math.round(offline.value.rows / offline.seconds),
          'bytes of seals and salts per row': (sizes / sealing.value.rows).toFixed(1),
        },
      };
    } finally {
      await database.drop();
      await server.stop();
    }
  },
};
export default suite;

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;
const rate = (rows: number, seconds: number): string => `${Math.round(rows / seconds).toLocaleString('en')} rows/s`;

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; seconds: number; cpu: number }> {
  const [began, before] = [performance.now(), process.cpuUsage()];
  const value = await work();
  const { user, system } = process.cpuUsage(before);
  return { value, seconds: (performance.now() - began) / 1000, cpu: (user + system) / 1e6 };
}

/** Half of the rows change open columns only, as most updates of most applications do; half a personal value as well. */
async function fill(database: TestDatabase, rows: number, log: (line: string) => void): Promise<void> {
  const client = await database.client();
  for (const statement of SCHEMA.split(/;\n/)) if (statement.trim()) await client.query(statement);
  await install(client, await bind(client, MAP));
  const each = 500;
  for (let done = 0; done < rows; done += each) {
    const n = done / each;
    const personalToo = n % 2 === 0 ? `, phone = '+49 30 ' || visits` : '';
    await client.query(
      `begin; select holdfast.set_actor('user-${n % 500}', 'user${n % 500}@example.org', 'session-${n % 1000}', '10.0.0.${n % 250}', 'Mozilla/5.0');
       update public.accounts set visits = visits + 1, updated_at = clock_timestamp()${personalToo}
        where id > ${(n * each) % ROWS} and id <= ${((n * each) % ROWS) + each}; commit`,
    );
    if (n % 500 === 499) log(`${done + each} rows of trail`);
  }
  await client.query('vacuum analyze');
}

/** Seconds of a COPY of the same columns by the same driver, thrown away. */
async function copyTime(database: TestDatabase): Promise<number> {
  const { to: copyTo } = await import('pg-copy-streams');
  const client = await database.client();
  const { seconds } = await timed(async () => {
    for await (const _ of client.query(copyTo('copy (select * from holdfast.trail) to stdout')));
  });
  return seconds;
}

async function bytes(database: TestDatabase): Promise<number> {
  const client = await database.client();
  const { rows } = await client.query(
    `select sum(pg_total_relation_size(c.oid))::float8 as n from pg_class c where c.relnamespace = 'holdfast'::regnamespace
      and c.relkind = 'r' and c.relname like 'seal%'`,
  );
  return rows[0].n;
}

/** Single updates with sealing every second beside them, and without, turn about. */
async function writers(
  ctx: SealContext,
  database: TestDatabase,
  programs: string | undefined,
  directory: string,
  rounds: number,
  log: (line: string) => void,
): Promise<number[]> {
  const pgbench = programs && existsSync(join(programs, 'pgbench')) ? join(programs, 'pgbench') : undefined;
  const script = join(directory, 'update.sql');
  await writeFile(
    script,
    `\\set id random(1, ${ROWS})\nupdate public.accounts set visits = visits + 1, updated_at = now() where id = :id;\n`,
  );
  const load = () => singleUpdates({ url: database.url, rows: ROWS, seconds: 6, script, pgbench });
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const first = round % 2 === 0 ? await load() : await besideSealing(ctx, load);
    const second = round % 2 === 0 ? await besideSealing(ctx, load) : await load();
    const [without, beside] = round % 2 === 0 ? [first, second] : [second, first];
    ratios.push(beside / without);
    log(`round ${round + 1}: ${without.toFixed(0)} updates a second without sealing, ${beside.toFixed(0)} beside it`);
    await seal(ctx);
  }
  return ratios;
}

async function besideSealing(ctx: SealContext, load: () => Promise<number>): Promise<number> {
  let stop = false;
  const sealing = (async () => {
    while (!stop) {
      await seal(ctx);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  })();
  try {
    return await load();
  } finally {
    stop = true;
    await sealing;
  }
}
