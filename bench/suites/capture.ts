/** What the audit trail costs the application (figures 7, 8 and 9). */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { createDatabase, type TestDatabase } from '../../test/support/database.ts';
import { type BenchSuite, ratio } from './suite.ts';
import { createAccounts, protectAccounts } from './support/capture/accounts.ts';
import { singleUpdates } from './support/capture/load.ts';
import { startBenchServer } from './support/peers.ts';

const VARIANTS = ['none', 'holdfast', 'peer'] as const;
type Variant = (typeof VARIANTS)[number];
type Times = Record<Variant, number[]>;

const suite: BenchSuite = {
  name: 'capture',
  description: 'an UPDATE with the audit trail, without, and with a generic trigger that writes whole rows as JSONB',
  async run({ log, scale, rounds }) {
    const rows = Math.max(5000, Math.round(100_000 * scale));
    const server = await startBenchServer({ synchronous_commit: 'off' });
    const databases = {} as Record<Variant, TestDatabase>;
    try {
      for (const variant of VARIANTS) databases[variant] = await prepare(variant, server.server.url(), rows);
      const pgbench =
        server.programs && existsSync(join(server.programs, 'pgbench')) ? join(server.programs, 'pgbench') : undefined;
      const script = join(server.directory, 'update.sql');
      await writeFile(
        script,
        `\\set id random(1, ${rows})\nupdate public.accounts set visits = visits + 1, updated_at = now() where id = :id;\n`,
      );

      const tps: Times = { none: [], holdfast: [], peer: [] };
      const bulk: Times = { none: [], holdfast: [], peer: [] };
      for (let round = 0; round < rounds; round += 1) {
        for (const variant of rotated(round)) {
          tps[variant].push(await singleUpdates({ url: databases[variant].url, rows, seconds: 3, script, pgbench }));
        }
        for (const variant of rotated(round)) bulk[variant].push(await bulkUpdate(databases[variant], rows));
        const last = (times: Times) => VARIANTS.map((v) => `${v} ${times[v].at(-1)!.toFixed(1)}`).join(', ');
        log(`round ${round + 1}: 1-row updates per second: ${last(tps)}; 1,000-row update, ms: ${last(bulk)}`);
      }
      const bytes = await bytesPerChange(databases.holdfast, rows);
      return {
        ratios: {
          '7. 1-row update, share of unaudited tps': ratio(
            each(rounds, (i) => tps.holdfast[i]! / tps.none[i]!),
            '>= 0.80',
          ),
          '7. the same for the peer': ratio(
            each(rounds, (i) => tps.peer[i]! / tps.none[i]!),
            '(comparison)',
          ),
          '8. 1,000-row update, added cost against the peer': ratio(
            each(rounds, (i) => (bulk.holdfast[i]! - bulk.none[i]!) / (bulk.peer[i]! - bulk.none[i]!)),
            '<= 0.333',
          ),
          '9. bytes per change with indexes and actor': ratio([bytes.holdfast], '<= 550'),
        },
        facts: {
          server: server.description,
          load: pgbench ? 'pgbench, 2 clients, prepared' : 'Node, 2 clients, prepared',
          rows,
          synchronous_commit: 'off',
          '1-row updates per second without a trail': Math.round(median(tps.none)),
          'added to a 1-row update, microseconds of wall time per client':
            Math.round((2e6 / median(tps.holdfast) - 2e6 / median(tps.none)) * 10) / 10,
          '1,000-row update, ms: none / holdfast / peer': VARIANTS.map((v) => median(bulk[v]).toFixed(1)).join(' / '),
          'bytes per change: heap / indexes': `${bytes.heap.toFixed(0)} / ${(bytes.holdfast - bytes.heap).toFixed(0)}`,
        },
      };
    } finally {
      for (const database of Object.values(databases)) await database.drop();
      await server.stop();
    }
  },
};
export default suite;

const each = (n: number, value: (i: number) => number): number[] => Array.from({ length: n }, (_, i) => value(i));
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** Another order each round, so that no variant always follows the same one. */
const rotated = (round: number): Variant[] => VARIANTS.map((_, i) => VARIANTS[(i + round) % VARIANTS.length]!);

async function prepare(variant: Variant, serverUrl: string, rows: number): Promise<TestDatabase> {
  const database = await createDatabase({ serverUrl, prefix: `bench_${variant}` });
  const client = await database.client();
  await createAccounts(client, rows);
  if (variant === 'peer') {
    await client.query(await readFile(new URL('support/capture/peer.sql', import.meta.url), 'utf8'));
  }
  if (variant === 'holdfast') await protectAccounts(client);
  return database;
}

/** Median milliseconds of one UPDATE of 1,000 rows, of 15 tries. */
async function bulkUpdate(database: TestDatabase, rows: number): Promise<number> {
  const client = await database.client();
  const times: number[] = [];
  for (let i = 0; i < 17; i += 1) {
    const low = 1 + Math.floor(Math.random() * (rows - 1000));
    const began = performance.now();
    await client.query(
      'update public.accounts set visits = visits + 1, updated_at = now() where id between $1 and $2',
      [low, low + 999],
    );
    if (i > 1) times.push(performance.now() - began); // the first calls compile the trigger
  }
  return median(times);
}

/** 20,000 transactions of 200 people, each with full context, into an empty trail. */
async function bytesPerChange(database: TestDatabase, rows: number): Promise<{ holdfast: number; heap: number }> {
  const client = await database.client();
  await client.query('truncate holdfast.trail, holdfast.actors');
  for (let i = 0; i < 20_000; i += 1) await contextual(client, i, 1 + ((i * 7919) % rows));
  const { rows: sizes } = await client.query(
    `select sum(pg_total_relation_size(relid))::float8 + pg_total_relation_size('holdfast.actors') as total,
            sum(pg_table_size(relid))::float8 as heap,
            (select count(*)::int from holdfast.trail) as n
       from pg_partition_tree('holdfast.trail') where isleaf`,
  );
  const { total, heap, n } = sizes[0];
  return { holdfast: total / n, heap: heap / n };
}

async function contextual(client: pg.Client, i: number, id: number): Promise<void> {
  const person = i % 200;
  await client.query(
    `begin; select holdfast.set_actor('user-${person}', 'person${person}@example.org', 'session-${person}', '10.0.0.${person}',
       'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36');
     update public.accounts set visits = visits + 1, status = 'seen${i % 3}', updated_at = now() where id = ${id}; commit`,
  );
}
