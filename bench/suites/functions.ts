/**
 * What must end within one call of a function, and cannot be left off and gone on with: the last step of a backup, and a restore, which is
 * one transaction. How much each does in a second, with services that answer as late as those of AWS; and so in the time that a call has.
 */
import { join } from 'node:path';
import type pg from 'pg';
import type { Context } from '../../core/context.ts';
import { bind } from '../../core/datamap/bind.ts';
import { install } from '../../core/history/install.ts';
import { createRestorePoint } from '../../core/history/restorePoints.ts';
import { applyRequest } from '../../core/restore/requests/apply.ts';
import { requestRestore } from '../../core/restore/requests/create.ts';
import { approveRequest } from '../../core/restore/requests/decide.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { copyRange, finishBackup, planBackup } from '../../core/snapshot/steps.ts';
import { connect } from '../../core/sql.ts';
import { createSample, type SampleOptions } from '../../sample/create.ts';
import { sampleMap } from '../../sample/map.ts';
import { makeContext } from '../../test/snapshot/world.ts';
import { type BenchSuite, ratio } from './suite.ts';
import { watchMemory } from './support/peakMemory.ts';
import { type BenchServer, startBenchServer } from './support/peers.ts';
import { slowServices } from './support/slowServices.ts';

/** Of the 15 minutes of a function, one is kept back. */
const SECONDS = 840;
/** So many tenants, all of which have changed; as many chunks; as many rows of one tenant, all hurt. */
const TENANTS = 10_000;
const CHUNKS = 10_000;
const ROWS = 1_000_000;

const suite: BenchSuite = {
  name: 'functions',
  description: 'what must end within one call of a function, against its time, with services as late as those of AWS',
  async run({ log, scale, rounds }) {
    const bench = await startBenchServer();
    log(bench.description);
    try {
      const many = await protectedDatabase(bench, 'many', {
        tenants: Math.max(20, Math.round(2000 * scale)),
        usersPerTenant: 2,
        entriesPerUser: 4,
      });
      const large = await protectedDatabase(bench, 'large', {
        tenants: 2,
        usersPerTenant: Math.max(2, Math.round(400 * scale)),
        entriesPerUser: 100,
      });
      const figures = new Figures();
      for (let round = 1; round <= rounds; round++) {
        await finishes(many, round, figures);
        await restores(large, round, figures);
        log(`round ${round}: ${figures.last()}`);
      }
      await Promise.all([many.client.end(), large.client.end()]);
      const share = (name: string, wanted: number) =>
        ratio(
          figures.of(name).map((rate) => wanted / rate / SECONDS),
          '<= 0.5',
        );
      return {
        ratios: {
          'finishing a backup of 10,000 tenants that have all changed': share('tenants/s', TENANTS),
          'finishing a backup of 10,000 chunks': share('chunks/s', CHUNKS),
          'previewing a restore of 1,000,000 rows out of the live table': share('rows previewed/s, live', ROWS),
          'applying it': share('rows applied/s, live', ROWS),
          'previewing it out of backups': share('rows previewed/s, store', ROWS),
          'applying that': share('rows applied/s, store', ROWS),
        },
        facts: figures.medians(),
      };
    } finally {
      await bench.stop();
    }
  },
};
export default suite;

class Figures {
  readonly #values = new Map<string, number[]>();
  add(name: string, value: number): void {
    this.#values.set(name, [...this.of(name), value]);
  }
  of = (name: string): readonly number[] => this.#values.get(name) ?? [];
  last = (): string => [...this.#values].map(([name, values]) => `${Math.round(values.at(-1)!)} ${name}`).join(', ');
  medians = () =>
    Object.fromEntries([...this.#values].map(([name, values]) => [name, Math.round(ratio(values, '').median)]));
}

interface Place {
  readonly ctx: Context;
  readonly client: pg.Client;
}

async function protectedDatabase(bench: BenchServer, name: string, size: SampleOptions): Promise<Place> {
  const admin = await connect(bench.server.url());
  await admin.query(`create database ${name}`);
  await admin.end();
  const client = await connect(bench.server.url(name));
  await createSample(client, size);
  await install(client, await bind(client, sampleMap()));
  await client.query('vacuum analyze');
  return { client, ctx: await makeContext(join(bench.directory, name), bench.server.url(name), sampleMap()) };
}

async function finishes({ ctx, client }: Place, round: number, figures: Figures): Promise<void> {
  const finish = async (type: 'full' | 'incremental', chunkBytes?: number) => {
    const execution = `${type} ${round} ${performance.now()}`;
    const run = await planBackup(ctx, { type, ...(chunkBytes ? { chunkBytes } : {}) }, execution);
    const { backup, tenant } = run;
    for (const chunks of run.items) await copyRange(ctx, { execution, backup, tenant, chunks }, () => false);
    return timed(() => finishBackup(slowServices(ctx), { backup, tenant, execution }));
  };
  const watch = watchMemory();
  const full = await finish('full', 64 << 10);
  figures.add('chunks/s', full.answer.objects.length / full.seconds);
  const { rowCount } = await client.query("update public.organizations set name = name || '.'");
  const few = await finish('incremental');
  figures.add('tenants/s', rowCount! / few.seconds);
  await client.query("update public.journal_entries set body = repeat(left(body, 500), 30) || '.'");
  const much = await finish('incremental');
  const bytes = much.answer.totals.rawBytes - few.answer.totals.rawBytes;
  figures.add('MB of changes/s', bytes / 1e6 / (much.seconds - few.seconds));
  figures.add('MB of memory', watch.end());
}

async function restores({ ctx, client }: Place, round: number, figures: Figures): Promise<void> {
  const { rows } = await client.query('select id::text from public.organizations order by id limit 1');
  const tenant = rows[0].id as string;
  const point = `before-${round}`;
  await backup(ctx, { type: 'full' });
  await createRestorePoint(client, { name: point, tenant });
  await backup(ctx, { type: 'incremental' });
  for (const source of ['live', 'store'] as const) {
    const { rowCount } = await client.query(
      "update public.activity_events set details = details || jsonb_build_object('hurt', clock_timestamp()) where organization_id = $1",
      [tenant],
    );
    const slow = slowServices(ctx);
    const restore = { kind: 'tenant', request: { tenant, to: { point }, source } } as const;
    const preview = await timed(() => requestRestore(slow, { restore, by: 'ann', reason: 'a benchmark' }));
    const { id } = preview.answer;
    await approveRequest(ctx, { id, by: 'bob' });
    const apply = await timed(() => applyRequest(slow, { id, by: 'ann' }));
    figures.add(`rows previewed/s, ${source}`, rowCount! / preview.seconds);
    figures.add(`rows applied/s, ${source}`, rowCount! / apply.seconds);
  }
}

async function timed<T>(work: () => Promise<T>): Promise<{ answer: T; seconds: number }> {
  const began = performance.now();
  const answer = await work();
  return { answer, seconds: (performance.now() - began) / 1000 };
}
