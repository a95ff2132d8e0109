/** Figures 1, 2, 3 and 15: a whole-database backup against pg_dump, pg_dump through zstd, and a bare COPY. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BoundMap } from '../../core/datamap/types.ts';
import { ident, qualified } from '../../core/sql.ts';
import { type BenchOptions, type BenchResult, type BenchSuite, type Ratio, ratio } from './suite.ts';
import type { BackupFigures } from './support/backupWorker.ts';
import { startBenchServer, timedShell } from './support/peers.ts';
import { protectedSample } from './support/protectedSample.ts';
import { runBackup } from './support/runBackup.ts';

const suite: BenchSuite = {
  name: 'backup',
  description: 'whole-database backup: encrypted, compressed, hashed, read back; per tenant, per person',
  run,
};
export default suite;

interface Round {
  readonly ours: BackupFigures;
  readonly copy: number | undefined;
  readonly dump: number | undefined;
  readonly dumpBytes: number | undefined;
  readonly zstd: number | undefined;
}

async function run({ log, scale, rounds }: BenchOptions): Promise<BenchResult> {
  const bench = await startBenchServer();
  try {
    log(`${bench.description}; filling the sample at scale ${scale}`);
    const { url, bound } = await protectedSample(bench, 'full_size', scale);
    const small = await protectedSample(bench, 'small_size', scale / 100);
    const directory = join(bench.directory, 'holdfast');
    const full = () => runBackup({ directory, databaseUrl: url, options: { type: 'full' } });
    const dumpFile = join(bench.directory, 'dump');
    const peer = (command: string, input?: string) =>
      bench.programs === undefined ? undefined : timedShell(`${bench.programs}/${command}`, url, input);

    const results: Round[] = [];
    for (let round = 0; round <= rounds; round++) {
      const ours = await full();
      const copy = await peer('psql -XqAt -v ON_ERROR_STOP=1 -f - > /dev/null', copyAll(bound));
      const dump = await peer(`pg_dump -Fc --exclude-schema=holdfast -f ${dumpFile}`);
      const dumpBytes = dump === undefined ? undefined : (await stat(dumpFile)).size;
      const zstd = bench.zstd
        ? await peer(`pg_dump -Fc -Z0 --exclude-schema=holdfast | zstd -q -3 -T2 > ${dumpFile}.zst`)
        : undefined;
      // The first round fills caches and makes keys; every scheduled backup finds them there.
      if (round > 0) results.push({ ours, copy, dump, dumpBytes, zstd });
      log(
        `${round === 0 ? 'warm-up' : `round ${round}`}: ours ${ours.seconds.toFixed(2)} s (cpu ${ours.cpuSeconds.toFixed(2)}), COPY ${copy?.toFixed(2)}, pg_dump -Fc ${dump?.toFixed(2)}, | zstd ${zstd?.toFixed(2)}`,
      );
    }
    const tiny = await runBackup({
      directory: join(bench.directory, 'small'),
      databaseUrl: small.url,
      options: { type: 'full' },
    });

    const ratios: Record<string, Ratio> = {};
    const put = (name: string, goal: string, of: (r: Round) => number | undefined) => {
      const values = results.map(of).filter((v) => v !== undefined);
      if (values.length > 0) ratios[name] = ratio(values, goal);
    };
    const over = (a: number, b: number | undefined) => (b === undefined ? undefined : a / b);
    put('1 time against pg_dump -Fc', '<= 0.25', (r) => over(r.ours.seconds, r.dump));
    put('1 size against pg_dump -Fc', '<= 0.85', (r) => over(r.ours.bytes, r.dumpBytes));
    put('2 time against pg_dump -Fc -Z0 | zstd -3 -T2', '<= 0.9', (r) => over(r.ours.seconds, r.zstd));
    put('3 throughput against bare COPY', '>= 1.0', (r) =>
      r.copy === undefined ? undefined : r.copy / r.ours.seconds,
    );
    put('15 peak memory, 100 x the data against 1 x', 'flat', (r) => r.ours.peakMegabytes / tiny.peakMegabytes);
    const last = results.at(-1)!.ours;
    return {
      ratios,
      facts: {
        server: bench.description,
        'raw MB': Math.round(last.rawBytes / 1e6),
        'stored MB': Math.round(last.bytes / 1e6),
        'peak MB': Math.round(last.peakMegabytes),
        'peak MB at a hundredth of the data': Math.round(tiny.peakMegabytes),
        'CPU seconds of the backup process': last.cpuSeconds.toFixed(2),
      },
    };
  } finally {
    await bench.stop();
  }
}

/** The same rows that a backup reads: generated columns are not stored. */
function copyAll(bound: BoundMap): string {
  return bound.tables
    .map((table) => {
      const columns = table.columns.filter((c) => c.generated === '').map((c) => ident(c.name));
      return `copy (select ${columns.join(', ')} from ${qualified(table.schema, table.relname)}) to stdout;\n`;
    })
    .join('');
}
