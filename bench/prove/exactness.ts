import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { resolveCut } from '../../core/history/cuts.ts';
import { createRestorePoint, findRestorePoint } from '../../core/history/restorePoints.ts';
import { parseSnapshot } from '../../core/history/snapshots.ts';
import type { Cut } from '../../core/history/types.ts';
import { parseMoment } from '../../core/moment.ts';
import { restoreDatabase } from '../../core/restore/database.ts';
import { digestAt, stateAt } from '../../core/restore/stateAt.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { startTraffic } from '../../sample/traffic.ts';
import { type ProtectedSample, protectedSample } from '../../test/restore/support.ts';
import { createDatabase } from '../../test/support/database.ts';
import { compareStates, readState, type State } from './exactness/oracle.ts';
import { NESTED_TRIGGERS, runWild } from './exactness/wild.ts';
import { pauseWriters } from './exactness/writers.ts';
import { type ProveFailure, Random, type Suite } from './suite.ts';

/** Cuts in one round, that is on one database. */
const CUTS = 24;

/** Something read at a cut, to be asked for again later. */
interface Witness {
  readonly what: string;
  readonly tenant: string | null;
  readonly expected: State;
  readonly cut: () => Promise<Cut>;
  /** Set where the store can be asked too. */
  readonly moment?: string;
}

const suite: Suite = {
  name: 'exactness',
  description: 'the state at a cut, from the live table and from a store, against what a transaction read at that cut',
  quickCases: 16,
  async run({ cases, seed, serverUrl, log }) {
    const failures: ProveFailure[] = [];
    const facts = { 'changes in the trail': 0, 'compared from the store': 0, 'times asked twice': 0 };
    for (let done = 0; done < cases; ) {
      const round = new Round(seed + done, Math.min(CUTS, cases - done), serverUrl);
      const result = await round.run();
      for (const message of result.problems) failures.push({ seed, case: done, message });
      facts['changes in the trail'] += result.changes;
      facts['compared from the store'] += result.fromStore;
      facts['times asked twice'] += result.twice;
      done += result.cases;
      log(`${done} cuts, ${facts['changes in the trail']} changes, ${failures.length} failures`);
    }
    return { cases, failures, facts };
  },
};
export default suite;

class Round {
  readonly #seed: number;
  readonly #cuts: number;
  readonly #serverUrl: string;
  readonly #random: Random;
  readonly #problems: string[] = [];

  constructor(seed: number, cuts: number, serverUrl: string) {
    this.#seed = seed;
    this.#cuts = cuts;
    this.#serverUrl = serverUrl;
    this.#random = new Random(seed);
  }

  async run() {
    const sample = await protectedSample(
      { tenants: 3, usersPerTenant: 4, entriesPerUser: 5, seed: this.#seed },
      this.#serverUrl,
    );
    try {
      await sample.client.query(NESTED_TRIGGERS);
      return await this.#inDatabase(sample);
    } finally {
      await sample.drop();
    }
  }

  async #inDatabase(sample: ProtectedSample) {
    const { ctx, client, tenants } = sample;
    const url = ctx.databaseUrl!;
    await backup(ctx, { type: 'full' });
    let stop = false;
    const traffic = await startTraffic(url, { writers: 3, seed: this.#seed, think: 60 });
    const wild = [1, 2].map((n) => runWild(url, tenants, this.#seed * 31 + n, () => stop));
    const witnesses: Witness[] = [];
    const times: { moment: bigint; first: string; tenant: string | null }[] = [];
    try {
      const reader = await sample.database.client();
      for (let n = 0; n < this.#cuts; n++) {
        await sleep(this.#random.int(40));
        const everything = n % 6 === 2; // comes back from the store too
        const tenant = everything || this.#random.chance(0.3) ? null : this.#random.pick(tenants);
        const barrier = everything || this.#random.chance(0.4);
        const witness = barrier
          ? await this.#atBarrier(reader, client, tenant, n)
          : await readAtSnapshot(reader, tenant);
        witnesses.push(witness);
        await this.#check(reader, sample, witness, 'while others write');
        if (n % 4 === 1) {
          const { rows } = await client.query(
            "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') as t",
          );
          const moment = parseMoment(`${rows[0].t}Z`);
          times.push({ moment, tenant, first: await this.#digest(reader, sample, tenant, moment) });
        }
        if (n % 9 === 5)
          await backup(ctx, {
            type: this.#random.pick(['full', 'incremental', 'transaction_log', 'differential'] as const),
          });
      }
    } finally {
      stop = true;
      await traffic.stop();
      await Promise.all(wild);
    }
    await backup(ctx, { type: 'transaction_log' });
    const reader = await sample.database.client();
    for (const witness of witnesses) await this.#check(reader, sample, witness, 'asked again later');
    for (const { moment, first, tenant } of times) {
      if ((await this.#digest(reader, sample, tenant, moment)) !== first)
        this.#problems.push(`the answer for ${moment} changed`);
    }
    const fromStore = witnesses.filter((w) => w.moment && w.tenant === null).slice(0, 2);
    for (const witness of fromStore) await this.#checkStore(sample, witness);
    const { rows } = await client.query('select count(*)::int as n from holdfast.trail');
    return {
      cases: witnesses.length,
      problems: this.#problems,
      changes: rows[0].n as number,
      fromStore: fromStore.length,
      twice: times.length,
    };
  }

  /** All writers pause for the read, so the moment is between two commits and can be asked for as a time, or by name. */
  async #atBarrier(reader: pg.Client, client: pg.Client, tenant: string | null, n: number): Promise<Witness> {
    await pauseWriters(reader);
    const name = `point ${n}`;
    const point = await createRestorePoint(client, { name, tenant: null });
    const expected = await readState(reader, tenant);
    await reader.query('commit');
    const byName = this.#random.chance(0.5);
    const cut = async () =>
      byName ? (await findRestorePoint(client, name, null)).cut : resolveCut(client, parseMoment(point.moment));
    return {
      what: byName ? `restore point ${name}` : `time ${point.moment}`,
      tenant,
      expected,
      cut,
      moment: point.moment,
    };
  }

  async #check(reader: pg.Client, sample: ProtectedSample, witness: Witness, when: string): Promise<void> {
    const cut = await witness.cut();
    await reader.query('begin isolation level repeatable read');
    try {
      const got: State = new Map();
      for (const { table, sql } of await stateAt(reader, sample.bound, witness.tenant, cut)) {
        const { rows } = await reader.query(`select r::text collate "C" as line from (${sql}) r order by 1`);
        got.set(
          table.relname,
          rows.map((r) => r.line as string),
        );
      }
      this.#report(compareStates(witness.expected, got), `${witness.what}, ${when}, tenant ${witness.tenant}`);
    } catch (error) {
      this.#report([String(error)], `${witness.what}, ${when}, tenant ${witness.tenant}`);
    } finally {
      await reader.query('rollback');
    }
  }

  async #checkStore(sample: ProtectedSample, witness: Witness): Promise<void> {
    const target = await createDatabase({ prefix: 'prove', serverUrl: this.#serverUrl });
    try {
      await restoreDatabase(sample.ctx, { targetUrl: target.url, moment: parseMoment(witness.moment!) });
      const got = await readState(await target.client(), null);
      this.#report(compareStates(witness.expected, got), `${witness.what}, from the store`);
    } catch (error) {
      this.#report([String(error)], `${witness.what}, from the store`);
    } finally {
      await target.drop();
    }
  }

  async #digest(reader: pg.Client, sample: ProtectedSample, tenant: string | null, moment: bigint): Promise<string> {
    return JSON.stringify(await digestAt(reader, sample.bound, tenant, await resolveCut(reader, moment)));
  }

  #report(differences: readonly string[], where: string): void {
    for (const line of differences) this.#problems.push(`${where}: ${line}`);
  }
}

/** Others are in the middle of their transactions; the snapshot itself is the cut. */
async function readAtSnapshot(reader: pg.Client, tenant: string | null): Promise<Witness> {
  await reader.query('begin isolation level repeatable read');
  const { rows } = await reader.query('select pg_current_snapshot()::text as snapshot');
  const expected = await readState(reader, tenant);
  await reader.query('commit');
  const cut: Cut = { moment: 0n, snapshot: parseSnapshot(rows[0].snapshot), extra: [] };
  return { what: `snapshot ${rows[0].snapshot}`, tenant, expected, cut: async () => cut };
}
