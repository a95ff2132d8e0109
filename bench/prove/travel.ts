import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { advance } from '../../core/history/advance.ts';
import { stateAsOf } from '../../core/history/travel/stateAsOf.ts';
import { page } from '../../core/history/travel/stream.ts';
import { formatMoment } from '../../core/moment.ts';
import { startTraffic } from '../../sample/traffic.ts';
import { type ProtectedSample, protectedSample } from '../../test/restore/support.ts';
import { NESTED_TRIGGERS, runWild } from './exactness/wild.ts';
import { pauseWriters } from './exactness/writers.ts';
import { type ProveFailure, Random, type Suite } from './suite.ts';
import { differences, type Held, keysOf, linesOf, mismatch, readHeld, readRows } from './travel/oracle.ts';

/** Moments in one round, that is on one database. */
const MOMENTS = 16;

/** What everyone's tables held at a moment. */
interface Witness {
  readonly moment: string;
  readonly all: Held;
  readonly tenants: ReadonlyMap<string, Held>;
}

const suite: Suite = {
  name: 'travel',
  description: 'tables, tenants, records, differences and versions at a moment against what was read at that moment',
  quickCases: 12,
  async run({ cases, seed, serverUrl, log }) {
    const failures: ProveFailure[] = [];
    const facts = {
      'changes in the trail': 0,
      'states compared': 0,
      'differences compared': 0,
      'records compared': 0,
      'asked twice': 0,
    };
    for (let done = 0; done < cases; ) {
      const round = new Round(seed + done, Math.min(MOMENTS, cases - done), serverUrl, facts);
      for (const message of await round.run()) failures.push({ seed, case: done, message });
      done += Math.min(MOMENTS, cases - done);
      log(
        `${done} moments, ${facts['changes in the trail']} changes, ${facts['states compared']} states, ${failures.length} failures`,
      );
    }
    return { cases, failures, facts };
  },
};
export default suite;

class Round {
  readonly #seed: number;
  readonly #moments: number;
  readonly #serverUrl: string;
  readonly #facts: Record<string, number>;
  readonly #random: Random;
  readonly #problems: string[] = [];
  readonly #witnesses: Witness[] = [];
  #keys = new Map<string, string[]>();

  constructor(seed: number, moments: number, serverUrl: string, facts: Record<string, number>) {
    this.#seed = seed;
    this.#moments = moments;
    this.#serverUrl = serverUrl;
    this.#facts = facts;
    this.#random = new Random(seed);
  }

  async run(): Promise<string[]> {
    const options = { tenants: 3, usersPerTenant: 4, entriesPerUser: 5, seed: this.#seed };
    const sample = await protectedSample(options, this.#serverUrl);
    try {
      await sample.client.query(NESTED_TRIGGERS);
      await this.#inDatabase(sample);
      const { rows } = await sample.client.query('select count(*)::int as n from holdfast.trail');
      this.#count('changes in the trail', rows[0].n);
      return this.#problems;
    } finally {
      await sample.drop();
    }
  }

  async #inDatabase(sample: ProtectedSample): Promise<void> {
    const { ctx, tenants } = sample;
    const url = ctx.databaseUrl!;
    let stop = false;
    const traffic = await startTraffic(url, { writers: 3, seed: this.#seed, think: 60 });
    const wild = [1, 2].map((n) => runWild(url, tenants, this.#seed * 31 + n, () => stop));
    const asked: { question: string; values: unknown[]; first: string }[] = [];
    const reader = await sample.database.client();
    try {
      this.#keys = await keysOf(reader);
      for (let n = 0; n < this.#moments; n++) {
        await sleep(this.#random.int(60));
        const witness = await this.#witness(reader, tenants);
        this.#witnesses.push(witness);
        await sleep(this.#random.int(60));
        await this.#check(
          reader,
          witness,
          this.#random.chance(0.4) ? null : this.#random.pick(tenants),
          'while others write',
        );
        if (n % 3 === 1) {
          const table = this.#random.pick([...this.#keys.keys()]);
          const { rows } = await reader.query('select clock_timestamp()::text as now');
          const question = `select md5(string_agg(x::text, ',' order by x::text collate "C")) as is from holdfast.as_of(null::public.${table}, $1) x`;
          const first = await reader.query(question, [rows[0].now]);
          asked.push({ question, values: [rows[0].now], first: String(first.rows[0].is) });
        }
      }
    } finally {
      stop = true;
      await traffic.stop();
      await Promise.all(wild);
    }
    for (const witness of this.#witnesses) {
      for (const tenant of [null, ...tenants]) await this.#check(reader, witness, tenant, 'asked again later');
    }
    for (const { question, values, first } of asked) {
      const again = await reader.query(question, values);
      this.#count('asked twice', 1);
      if (String(again.rows[0].is) !== first) this.#problems.push(`the answer for ${values[0]} changed: ${question}`);
    }
    await this.#checkRecords(reader);
  }

  /** Writers pause, so that the moment lies between two commits; it is a horizon's own, or one between two horizons. */
  async #witness(reader: pg.Client, tenants: readonly string[]): Promise<Witness> {
    await pauseWriters(reader);
    const moment = this.#random.chance(0.3) ? formatMoment((await advance(reader)).moment) : await clock(reader);
    const all = await readHeld(reader, this.#keys, null);
    const each = new Map<string, Held>();
    for (const tenant of tenants) each.set(tenant, await readHeld(reader, this.#keys, tenant));
    await reader.query('commit');
    return { moment, all, tenants: each };
  }

  async #check(reader: pg.Client, witness: Witness, tenant: string | null, when: string): Promise<void> {
    const held = (w: Witness) => (tenant === null ? w.all : w.tenants.get(tenant)!);
    const where = `${witness.moment}, tenant ${tenant}, ${when}`;
    for (const [table, expected] of held(witness)) {
      const source = `holdfast.as_of(null::public.${table}, $1, $2) x`;
      await this.#compare(`${table} at ${where}`, async () => {
        const got = await readRows(reader, source, this.#keys.get(table)!, [witness.moment, tenant]);
        this.#count('states compared', 1);
        return mismatch(linesOf(expected), linesOf(got));
      });
    }
    const table = this.#random.pick([...held(witness).keys()]);
    await this.#compare(`pages of ${table} at ${where}`, () =>
      this.#pages(reader, table, witness.moment, tenant, held(witness).get(table)!),
    );
    const other = this.#random.pick(this.#witnesses);
    const [low, high] = [witness, other].sort((a, b) => (a.moment < b.moment ? -1 : 1)) as [Witness, Witness];
    await this.#compare(
      `difference of ${table}, ${low.moment} to ${high.moment}, tenant ${tenant}, ${when}`,
      async () => {
        const key = this.#keys.get(table)!;
        const keyText = (side: string) => `array[${key.map((name) => `(d.${side}).${name}::text`).join(', ')}]::text`;
        const { rows } = await reader.query(
          `select concat_ws(' ', d.action, case when d.action = 'insert' then ${keyText('after')} else ${keyText('before')} end,
                          d.before::text, d.after::text) as line from holdfast.diff(null::public.${table}, $1, $2, $3) d`,
          [low.moment, high.moment, tenant],
        );
        this.#count('differences compared', 1);
        const expected = differences(held(low).get(table)!, held(high).get(table)!);
        return mismatch(
          expected,
          rows.map((r) => r.line as string),
        );
      },
    );
  }

  /** A page at a time, while the table goes on changing: every key once. */
  async #pages(
    client: pg.Client,
    table: string,
    moment: string,
    tenant: string | null,
    expected: ReadonlyMap<string, string>,
  ) {
    const keys: string[] = [];
    for (let after: string | undefined; ; ) {
      const limit = 1 + this.#random.int(30);
      const query = {
        table,
        at: { moment },
        limit,
        ...(tenant === null ? {} : { tenant }),
        ...(after === undefined ? {} : { after }),
      };
      const { items, next } = await page((await stateAsOf(client, query)).rows, limit);
      for (const row of items) {
        const { rows } = await client.query('select $1::text[]::text as key', [
          this.#keys.get(table)!.map((name) => row[name]),
        ]);
        keys.push(rows[0].key as string);
      }
      if (next === null) break;
      after = next;
    }
    return mismatch([...expected.keys()], keys);
  }

  /** The version of a record that stood at a moment is the row that was there. */
  async #checkRecords(reader: pg.Client): Promise<void> {
    for (let n = 0; n < 40; n++) {
      const table = this.#random.pick([...this.#keys.keys()]);
      const { rows: found } = await reader.query(
        `select c.record from holdfast.trail c join holdfast.tables t on t.id = c.table_id
          where t.name = $1 order by hashtext(c.record || $2) limit 1`,
        [`public.${table}`, String(this.#seed + n)],
      );
      if (!found[0]) continue;
      const key =
        this.#keys.get(table)!.length === 1 ? [found[0].record as string] : (JSON.parse(found[0].record) as string[]);
      const { rows } = await reader.query(
        `select committed_at::text as low, until::text as high, version::text as line from holdfast.versions(null::public.${table}, variadic $1::text[])`,
        [key],
      );
      const text = (await reader.query('select $1::text[]::text as key', [key])).rows[0].key as string;
      for (const witness of this.#witnesses) {
        const standing = rows.find(
          (v) => asIso(v.low) <= witness.moment && (v.high === null || asIso(v.high) > witness.moment),
        );
        if (!standing) continue; // before its first change
        this.#count('records compared', 1);
        const expected = witness.all.get(table)!.get(text);
        if ((standing.line ?? undefined) !== expected)
          this.#problems.push(
            `version of ${table} ${text} at ${witness.moment}: expected ${expected}, got ${standing.line}`,
          );
      }
    }
  }

  async #compare(what: string, work: () => Promise<string | undefined>): Promise<void> {
    try {
      const problem = await work();
      if (problem) this.#problems.push(`${what}: ${problem}`);
    } catch (error) {
      this.#problems.push(`${what}: ${error}`);
    }
  }

  #count(fact: string, by: number): void {
    this.#facts[fact] = (this.#facts[fact] ?? 0) + by;
  }
}

async function clock(client: pg.Client): Promise<string> {
  const { rows } = await client.query('select clock_timestamp()::text as now');
  return asIso(rows[0].now);
}

/** PostgreSQL drops trailing zeros of the seconds. */
const asIso = (text: string): string => {
  const [, date, time, fraction = ''] = /^(\S+) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/.exec(text)!;
  return `${date}T${time}.${fraction.padEnd(6, '0')}Z`;
};
