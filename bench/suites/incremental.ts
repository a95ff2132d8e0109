/** Figure 6: an incremental backup after 1 % of the rows changed, against a full one. */
import { join } from 'node:path';
import type pg from 'pg';
import type { BoundMap } from '../../core/datamap/types.ts';
import { connect, qualified } from '../../core/sql.ts';
import { type BenchOptions, type BenchResult, type BenchSuite, ratio } from './suite.ts';
import type { BackupFigures } from './support/backupWorker.ts';
import { startBenchServer } from './support/peers.ts';
import { protectedSample } from './support/protectedSample.ts';
import { runBackup } from './support/runBackup.ts';

const suite: BenchSuite = {
  name: 'incremental',
  description: 'incremental backup after 1 % of the rows changed',
  run,
};
export default suite;

/** One row in a hundred of the tables that hold nearly all rows, in transactions of a few rows as an application makes them. */
const CHANGES: readonly (readonly [table: string, key: string, set: string])[] = [
  ['journal_entries', 'id', "title = title || '.'"],
  ['activity_events', 'id', 'details = details || \'{"seen": true}\''],
  ['transcription_segments', '(voice_note_id, ordinal)', 'confidence = confidence / 2'],
  ['entry_tags', '(entry_id, tag_id)', "tagged_at = tagged_at + interval '1 second'"],
  ['comments', 'id', "body = body || '!'"],
  ['writing_days', '(user_id, day)', 'letters = letters + 1'],
];
const STATEMENTS = 50;

async function run({ log, scale, rounds }: BenchOptions): Promise<BenchResult> {
  const bench = await startBenchServer();
  try {
    log(`${bench.description}; filling the sample at scale ${scale}`);
    const { url, bound } = await protectedSample(bench, 'sample', scale);
    const client = await connect(url);
    const directory = join(bench.directory, 'holdfast');
    const rows: { full: BackupFigures; incremental: BackupFigures; scans: number }[] = [];
    await runBackup({ directory, databaseUrl: url, options: { type: 'full' } });
    for (let round = 1; round <= rounds; round++) {
      const full = await runBackup({ directory, databaseUrl: url, options: { type: 'full' } });
      await change(client, round);
      const before = await sequentialScans(url, client, bound);
      const incremental = await runBackup({ directory, databaseUrl: url, options: { type: 'incremental' } });
      const scans = (await sequentialScans(url, client, bound)) - before;
      rows.push({ full, incremental, scans });
      log(
        `round ${round}: full ${full.seconds.toFixed(2)} s, incremental ${incremental.seconds.toFixed(3)} s for ${incremental.changes} changes, ${scans} sequential scans`,
      );
    }
    await client.end();
    const last = rows.at(-1)!;
    return {
      ratios: {
        '6 time against full': ratio(
          rows.map((r) => r.incremental.seconds / r.full.seconds),
          '<= 0.05',
        ),
        '6 bytes against full': ratio(
          rows.map((r) => r.incremental.bytes / r.full.bytes),
          '<= 0.05',
        ),
        '6 sequential scans of protected tables': ratio(
          rows.map((r) => r.scans),
          '0',
        ),
      },
      facts: {
        server: bench.description,
        'changes per incremental': last.incremental.changes,
        'incremental KB': Math.round(last.incremental.bytes / 1000),
        'full MB': Math.round(last.full.bytes / 1e6),
      },
    };
  } finally {
    await bench.stop();
  }
}

async function change(client: pg.Client, round: number): Promise<void> {
  for (const [table, key, set] of CHANGES) {
    const { rows } = await client.query<{ total: number }>(`select count(*)::int as total from public.${table}`);
    const each = Math.ceil(rows[0]!.total / 100 / STATEMENTS);
    await client.query(
      `create temporary table chosen as select ${key.replace(/[()]/g, '')}, row_number() over (order by hashtext(t::text || '${round}')) as n from public.${table} t limit ${each * STATEMENTS}`,
    );
    for (let i = 0; i < STATEMENTS; i++) {
      await client.query(
        `update public.${table} set ${set} where ${key} in (select ${key.replace(/[()]/g, '')} from chosen where n > ${i * each} and n <= ${(i + 1) * each})`,
      );
    }
    await client.query('drop table chosen');
  }
}

/** Counted by the server, partitions included. What sessions have not reported yet is asked for, then read by another one. */
async function sequentialScans(url: string, client: pg.Client, bound: BoundMap): Promise<number> {
  await client.query(
    "select case when to_regproc('pg_stat_force_next_flush') is not null then pg_stat_force_next_flush() end",
  );
  await new Promise((resolve) => setTimeout(resolve, 1200));
  await client.query('select 1');
  const reader = await connect(url);
  const names = bound.tables.map((t) => qualified(t.schema, t.relname));
  const { rows } = await reader.query<{ scans: string }>(
    `select coalesce(sum(seq_scan), 0) as scans from pg_stat_all_tables
      where relid = any($1::text[]::regclass[])
         or relid in (select p.relid from unnest($1::text[]::regclass[]) t, pg_partition_tree(t) p)`,
    [names],
  );
  await reader.end();
  return Number(rows[0]!.scans);
}
