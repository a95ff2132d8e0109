import { existsSync, readFileSync } from 'node:fs';
import { activity } from '../../core/history/travel/activity.ts';
import { diff } from '../../core/history/travel/diff.ts';
import { history } from '../../core/history/travel/history.ts';
import { stateAsOf } from '../../core/history/travel/stateAsOf.ts';
import { type BenchSuite, ratio } from './suite.ts';
import { lengthenTrail, makeWorld, OWN_CHANGES, OWN_ROWS, type World } from './support/history/world.ts';
import { startBenchServer } from './support/peers.ts';

const SMALL = 18_000;
const GROWTH = 100;
const TRAILS = [1_000_000, 10_000_000] as const;
/** Of a question, in one measurement. */
const CALLS = 3;

const suite: BenchSuite = {
  name: 'history',
  description: 'time travel of one tenant while the table grows 100 x, and of one record while the trail grows 10 x',
  async run({ log, scale, rounds }) {
    const bench = await startBenchServer();
    try {
      const sizes = [SMALL, SMALL * GROWTH].map((n) => Math.round(n * Math.min(1, scale)));
      log(`${bench.description}; making tables of ${sizes[0]} and ${sizes[1]} rows`);
      const small = await makeWorld(bench, 'small', sizes[0]!);
      const large = await makeWorld(bench, 'large', sizes[1]!);
      const tables = await compare([small, large], TENANT_QUESTIONS, rounds, log);
      const counts = await numbers(large);
      await large.client.end();

      const trails = TRAILS.map((n) => Math.round(n * scale));
      log(`making trails of ${trails[0]} and ${trails[1]} changes`);
      const long = await makeWorld(bench, 'long', sizes[0]!);
      await lengthenTrail(small.client, trails[0]!);
      await lengthenTrail(long.client, trails[1]!);
      const records = await compare([small, long], RECORD_QUESTIONS, rounds, log);
      const { rows } = await long.client.query(
        "select pg_total_relation_size('holdfast.trail_default') + sum(pg_total_relation_size(inhrelid)) as bytes from pg_inherits where inhparent = 'holdfast.trail'::regclass",
      );
      await small.client.end();
      await long.client.end();
      return {
        ratios: {
          ...named(tables, (q) => [`11 ${q}, table ${GROWTH} x`, '<= 1.1']),
          ...named(records, (q) => [`${q}, trail 10 x`, '<= 1.1']),
        },
        facts: {
          server: bench.description,
          measured: clock() === 'cpu' ? 'CPU time of the backend' : 'time',
          rows: sizes.join(' and '),
          "the tenant's rows": OWN_ROWS,
          "the tenant's changes since": OWN_CHANGES,
          'rows of the tenant then': counts.rows,
          'records that differ': counts.differences,
          trail: trails.join(' and '),
          'MB of the longer trail, with indexes': Math.round(Number(rows[0].bytes) / 1e6),
          ...milliseconds({ ...tables, ...records }),
        },
      };
    } finally {
      await bench.stop();
    }
  },
};
export default suite;

type Question = (world: World) => Promise<number>;

const TENANT_QUESTIONS: Readonly<Record<string, Question>> = {
  'tenant as of': async (w) =>
    drain((await stateAsOf(w.client, { table: 'public.entries', at: { moment: w.moment }, tenant: w.tenant })).rows),
  'first page of it': async (w) =>
    drain(
      (await stateAsOf(w.client, { table: 'public.entries', at: { moment: w.moment }, tenant: w.tenant, limit: 100 }))
        .rows,
    ),
  'difference since': async (w) =>
    drain(
      (await diff(w.client, { table: 'public.entries', from: { moment: w.moment }, tenant: w.tenant })).differences,
    ),
  'activity since': async (w) =>
    drain((await activity(w.client, { from: { moment: w.moment }, tenant: w.tenant })).changes),
  'record as of': asOfRecord,
};

const RECORD_QUESTIONS: Readonly<Record<string, Question>> = {
  'history of a record': async (w) =>
    drain((await history(w.client, { table: 'public.entries', key: [w.record] })).versions),
  'record as of': asOfRecord,
};

async function asOfRecord(w: World): Promise<number> {
  return drain(
    (await stateAsOf(w.client, { table: 'public.entries', at: { moment: w.moment }, key: [w.record] })).rows,
  );
}

async function drain(items: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of items) count += 1;
  return count;
}

async function numbers(w: World): Promise<{ rows: number; differences: number }> {
  return {
    rows: await TENANT_QUESTIONS['tenant as of']!(w),
    differences: await TENANT_QUESTIONS['difference since']!(w),
  };
}

interface Measured {
  readonly ratios: number[];
  readonly small: number[];
  readonly large: number[];
}

/** Interleaved, and in turns first, so that whatever else the machine does falls on both. */
async function compare(
  worlds: readonly [World, World],
  questions: Readonly<Record<string, Question>>,
  rounds: number,
  log: (line: string) => void,
): Promise<Record<string, Measured>> {
  const measured: Record<string, Measured> = {};
  for (const [name, ask] of Object.entries(questions)) {
    const own: Measured = { ratios: [], small: [], large: [] };
    for (const world of worlds) await ask(world); // plans and caches
    for (let round = 0; round < rounds; round++) {
      const times = [0, 0];
      for (const i of round % 2 ? [1, 0] : [0, 1]) times[i] = await cost(worlds[i]!, ask);
      own.small.push(times[0]!);
      own.large.push(times[1]!);
      own.ratios.push(times[1]! / times[0]!);
    }
    measured[name] = own;
    log(
      `${name}: ${own.small.map((t) => t.toFixed(1)).join(' ')} ms, then ${own.large.map((t) => t.toFixed(1)).join(' ')} ms`,
    );
  }
  return measured;
}

/** Milliseconds of one call. */
async function cost(world: World, ask: Question): Promise<number> {
  const began = now(world.pid);
  for (let n = 0; n < CALLS; n++) await ask(world);
  return (now(world.pid) - began) / CALLS;
}

const schedule = (pid: number | 'self') => `/proc/${pid}/schedstat`;
const clock = (): 'cpu' | 'wall' => (existsSync(schedule('self')) ? 'cpu' : 'wall');

/** What the backend has run for, where the system tells; others on the machine do not count then. */
function now(pid: number): number {
  if (clock() === 'wall') return performance.now();
  return Number(readFileSync(schedule(pid), 'utf8').split(' ')[0]) / 1e6;
}

const named = (measured: Record<string, Measured>, name: (question: string) => [string, string]) =>
  Object.fromEntries(
    Object.entries(measured).map(([question, m]) => {
      const [title, goal] = name(question);
      return [title, ratio(m.ratios, goal)];
    }),
  );

const milliseconds = (measured: Record<string, Measured>) =>
  Object.fromEntries(
    Object.entries(measured).map(([question, m]) => [
      `ms, ${question}`,
      [m.small, m.large].map((times) => [...times].sort((a, b) => a - b)[times.length >> 1]!.toFixed(1)).join(' then '),
    ]),
  );
