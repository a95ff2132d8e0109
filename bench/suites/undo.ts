/** Bringing back one record, and undoing a session, beside plain UPDATEs (figures 10 and 12). */
import type pg from 'pg';
import { Desk } from '../../core/restore/undo/desk.ts';
import { applyAt, previewAt } from '../../core/restore/undo/undo.ts';
import { createDatabase, type TestDatabase } from '../../test/support/database.ts';
import { type BenchSuite, ratio } from './suite.ts';
import { ACCOUNTS, createAccounts, protectAccounts } from './support/capture/accounts.ts';
import { startBenchServer } from './support/peers.ts';

const ROWS = 100_000;
const TENANT = '00000000-0000-0000-0000-000000000001';
const OWN = 5000;
const RECORDS = 60;

const suite: BenchSuite = {
  name: 'undo',
  description: 'one record brought back at two sizes of the trail; a session of 1,000 changes previewed and undone',
  async run({ log, scale, rounds }) {
    const large = Math.round(10_000_000 * scale);
    const small = Math.round(1_000_000 * scale);
    const server = await startBenchServer({ synchronous_commit: 'off', max_wal_size: '8GB' });
    const databases: TestDatabase[] = [];
    try {
      const worlds: Bench[] = [];
      for (const size of [small, large]) {
        const started = performance.now();
        const database = await createDatabase({ serverUrl: server.server.url(), prefix: 'bench_undo' });
        databases.push(database);
        worlds.push(await prepare(database, size));
        log(`${size.toLocaleString('en')} trail rows in ${((performance.now() - started) / 1000).toFixed(0)} s`);
      }
      const [little, much] = worlds as [Bench, Bench];
      const flat: number[] = [];
      const perUpdate: number[] = [];
      const session: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const order = round % 2 === 0 ? [little, much] : [much, little];
        const times = new Map<Bench, number>();
        for (const bench of order) times.set(bench, await restoreRecords(bench));
        const plain = await updateRecords(much);
        flat.push(times.get(much)! / times.get(little)!);
        perUpdate.push(times.get(much)! / plain);
        const bulk = await undoSession(much, round);
        session.push(bulk.undo / bulk.update);
        log(
          `round ${round + 1}: record ${times.get(little)!.toFixed(2)} and ${times.get(much)!.toFixed(2)} ms, UPDATE ${plain.toFixed(2)} ms; ` +
            `session of 1,000: preview + undo ${bulk.undo.toFixed(0)} ms, UPDATE ${bulk.update.toFixed(0)} ms`,
        );
      }
      return {
        ratios: {
          [`10. one record: ${large.toLocaleString('en')} trail rows against ${small.toLocaleString('en')}`]: ratio(
            flat,
            '<= 1.1',
          ),
          '10. one record against a plain UPDATE by key': ratio(perUpdate, '<= 10'),
          '12. preview + undo of 1,000 changes against an UPDATE of 1,000 rows': ratio(session, '<= 5'),
        },
        facts: {
          server: server.description,
          synchronous_commit: 'off',
          'table rows': ROWS,
          connection: 'warm: the schema was read before, and is checked again in every transaction',
          'plain UPDATE': 'of a protected table, so with its audit trail',
        },
      };
    } finally {
      for (const database of databases) await database.drop();
      await server.stop();
    }
  },
};
export default suite;

interface Bench {
  readonly client: pg.Client;
  readonly desk: Desk;
}

/** A trail that was written evenly over the last months, by a set-based INSERT; then a tenant of 5,000 rows. */
async function prepare(database: TestDatabase, trail: number): Promise<Bench> {
  const client = await database.client();
  await createAccounts(client, ROWS);
  await client.query('update public.accounts set tenant_id = $1 where id <= $2', [TENANT, OWN]);
  await client.query('vacuum analyze public.accounts');
  await protectAccounts(client);
  const { rows } = await client.query("select id from holdfast.tables where name = 'public.accounts'");
  // Every record has its share of the past, all of it written before the horizon that follows.
  await client.query(
    `insert into holdfast.trail (seq, xid, at, table_id, action, organization, record, person, user_id, actor, row_version, changes)
     select nextval('holdfast.seq'), txid_current(), now() - interval '25 days' + g * (interval '24 days' / $1), $2, 'U',
            case when 1 + g % $3 <= $4 then $5 else md5((g % 500)::text)::uuid::text end, (1 + g % $3)::text, (g % 9000)::text,
            'user-' || g % 1000, md5((g % 3000)::text)::uuid, '(0,1)',
            jsonb_build_object('visits', jsonb_build_array((g % 7)::text, (g % 7 + 1)::text))
       from generate_series(1, $1::int) g`,
    [trail, rows[0].id, ROWS, OWN, TENANT],
  );
  await client.query('select holdfast.advance()');
  await client.query('vacuum analyze holdfast.trail');
  const desk = await Desk.open(database.url, ACCOUNTS);
  await desk.facts();
  return { client, desk };
}

async function moment(client: pg.Client): Promise<string> {
  const { rows } = await client.query(
    `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now`,
  );
  return rows[0].now as string;
}

/** Median milliseconds to bring one changed record back to a moment; each has a moment of its own. */
async function restoreRecords({ client, desk }: Bench): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < RECORDS; i += 1) {
    const id = 1 + ((i * 83) % OWN);
    const time = await moment(client);
    await client.query("update public.accounts set name = name || '!', status = 'wrong' where id = $1", [id]);
    await client.query('select holdfast.advance()'); // as it is every minute: the moment lies in the past
    const began = performance.now();
    const result = await applyAt(desk, {
      tenant: TENANT,
      scope: { kind: 'records', table: 'public.accounts', records: [[String(id)]], to: { time } },
    });
    times.push(performance.now() - began);
    if (result.totals.updated !== 1) throw new Error('the record was not brought back');
  }
  return median(times);
}

async function updateRecords({ client }: Bench): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < RECORDS; i += 1) {
    const began = performance.now();
    await client.query("update public.accounts set name = name || '!', status = 'right' where id = $1", [
      1 + ((i * 83) % OWN),
    ]);
    times.push(performance.now() - began);
  }
  return median(times);
}

async function undoSession({ client, desk }: Bench, round: number): Promise<{ undo: number; update: number }> {
  const undo: number[] = [];
  const update: number[] = [];
  for (let i = 0; i < 5; i += 1) {
    const session = `session-${round}-${i}`;
    await client.query('begin');
    await client.query("select holdfast.set_actor('mallory', null, $1)", [session]);
    let began = performance.now();
    await client.query(
      "update public.accounts set status = 'gone', visits = visits + 1 where id between 1001 and 2000",
    );
    await client.query('commit');
    update.push(performance.now() - began);
    const scope = { kind: 'session', session } as const;
    began = performance.now();
    const plan = await previewAt(desk, { tenant: TENANT, scope });
    const result = await applyAt(desk, { tenant: TENANT, scope, fingerprint: plan.fingerprint });
    undo.push(performance.now() - began);
    if (result.totals.updated !== 1000) throw new Error('the session was not undone');
  }
  return { undo: median(undo), update: median(update) };
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;
