import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { HoldfastError } from '../../core/errors.ts';
import { createRestorePoint } from '../../core/history/restorePoints.ts';
import { apply, prepare } from '../../core/restore/apply.ts';
import type { Net } from '../../core/restore/fold.ts';
import { keyOf } from '../../core/restore/record.ts';
import { Stage } from '../../core/restore/stage.ts';
import { readTargets } from '../../core/restore/target.ts';
import { restoreTenant } from '../../core/restore/tenant.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { startTraffic } from '../../sample/traffic.ts';
import { type ProtectedSample, protectedSample } from '../../test/restore/support.ts';
import { compareStates, readState } from './exactness/oracle.ts';
import { type ProveFailure, Random, type Suite } from './suite.ts';

const PER_DATABASE = 12;

const suite: Suite = {
  name: 'isolation',
  description:
    'restores of one tenant while the others write: no foreign row is touched, and sabotaged plans are refused',
  quickCases: 16,
  async run({ cases, seed, serverUrl, log }) {
    const failures: ProveFailure[] = [];
    const facts = { restores: 0, 'refused as they should be': 0, 'rows restored': 0, 'foreign rows watched': 0 };
    for (let done = 0; done < cases; done += PER_DATABASE) {
      const count = Math.min(PER_DATABASE, cases - done);
      const round = new Round(seed + done, count, serverUrl, facts);
      for (const message of await round.run()) failures.push({ seed, case: done, message });
      log(
        `${done + count} cases, ${facts.restores} restores, ${facts['rows restored']} rows, ${failures.length} failures`,
      );
    }
    return { cases, failures, facts };
  },
};
export default suite;

class Round {
  readonly #seed: number;
  readonly #count: number;
  readonly #serverUrl: string;
  readonly #random: Random;
  readonly #facts: Record<string, number>;
  readonly #problems: string[] = [];

  constructor(seed: number, count: number, serverUrl: string, facts: Record<string, number>) {
    this.#seed = seed;
    this.#count = count;
    this.#serverUrl = serverUrl;
    this.#random = new Random(seed);
    this.#facts = facts;
  }

  async run(): Promise<string[]> {
    const sample = await protectedSample(
      { tenants: 3, usersPerTenant: 4, entriesPerUser: 5, seed: this.#seed },
      this.#serverUrl,
    );
    try {
      await backup(sample.ctx, { type: 'full' });
      const victim = this.#random.pick(sample.tenants);
      const others = sample.tenants.filter((t) => t !== victim);
      const traffic = await startTraffic(sample.ctx.databaseUrl!, {
        writers: 3,
        seed: this.#seed,
        tenants: others,
        think: 40,
      });
      try {
        for (let n = 0; n < this.#count; n++) {
          if (n % 4 === 3) await this.#sabotage(sample, victim, others);
          else await this.#restore(sample, victim, n);
        }
      } finally {
        await traffic.stop();
      }
    } finally {
      await sample.drop();
    }
    return this.#problems;
  }

  /** Damages the tenant at random, restores it, and looks at what the restore's own transaction wrote. */
  async #restore(sample: ProtectedSample, victim: string, n: number): Promise<void> {
    const { ctx, client } = sample;
    const point = await createRestorePoint(client, { name: `case ${n}`, tenant: victim });
    const before = await readState(client, victim);
    await damage(client, victim, this.#random);
    const fromStore = this.#random.chance(0.4);
    if (fromStore) await backup(ctx, { type: 'transaction_log' });
    await sleep(this.#random.int(50));
    const watch = await sample.database.client();
    const { rows: start } = await client.query('select coalesce(max(seq), 0)::text as seq from holdfast.trail');
    try {
      const result = await restoreTenant(ctx, {
        tenant: victim,
        restorePoint: point.name,
        source: fromStore ? 'store' : 'live',
      });
      this.#facts.restores! += 1;
      this.#facts['rows restored']! += result.totals.inserted + result.totals.updated + result.totals.deleted;
      const where = `case ${n} (${fromStore ? 'store' : 'live'})`;
      for (const line of compareStates(before, await readState(client, victim)))
        this.#problems.push(`${where}: ${line}`);
      const xid = await restoreXid(client, start[0].seq as string, victim);
      if (xid) for (const line of await this.#foreign(watch, xid, victim)) this.#problems.push(`${where}: ${line}`);
    } catch (error) {
      this.#problems.push(`case ${n}: ${String(error)} ${JSON.stringify((error as HoldfastError).details ?? {})}`);
    }
  }

  /** Rows of others that were written at the very commit of the restore (its savepoints have ids of their own), by system columns and trail. */
  async #foreign(client: pg.Client, xid: string, victim: string): Promise<string[]> {
    const found: string[] = [];
    for (const [table, owner] of OWNED) {
      const { rows } = await client.query(
        `select count(*)::int as all,
                count(*) filter (where pg_xact_commit_timestamp(x.xmin) = pg_xact_commit_timestamp(($2::bigint % 4294967296)::text::xid))::int as touched
           from public.${table} x where ${owner} is distinct from $1::uuid`,
        [victim, xid],
      );
      this.#facts['foreign rows watched']! += rows[0].all;
      if (rows[0].touched > 0)
        found.push(`${rows[0].touched} foreign rows of ${table} were written by transaction ${xid}`);
    }
    const { rows } = await client.query(
      'select count(*)::int as n from holdfast.trail where xid = $1 and organization is distinct from $2',
      [xid, victim],
    );
    if (rows[0].n > 0) found.push(`${rows[0].n} changes of others in transaction ${xid}`);
    return found;
  }

  /** Plans with a foreign row in them, put together by hand behind the planner's back. */
  async #sabotage(sample: ProtectedSample, victim: string, others: readonly string[]): Promise<void> {
    const { client, bound } = sample;
    const foreign = this.#random.pick(others);
    const session = await sample.database.client();
    for (const [kind, nets] of Object.entries(await sabotagedNets(client, sample, victim, foreign))) {
      await session.query('begin isolation level repeatable read');
      try {
        const stage = new Stage(
          session,
          await readTargets(
            session,
            bound.tables.filter((t) => t.tenant),
          ),
          keyOf,
        );
        await stage.load(iterate(nets));
        const scope = { bound, tenant: victim };
        const { tables } = await apply(session, await prepare(session, stage, scope), {
          ...scope,
          userTriggers: 'suspend',
        });
        const harmless = Object.keys(tables).length === 0;
        if (!harmless) this.#problems.push(`a plan with ${kind} went through: ${JSON.stringify(tables)}`);
        else this.#facts['refused as they should be']! += 1;
      } catch (error) {
        const code = (error as HoldfastError).code;
        const refused = /^HF_RESTORE_(FOREIGN|CONFLICT|DIFFERS)$|^HF_HISTORY_BROKEN$/.test(code ?? '');
        if (refused) this.#facts['refused as they should be']! += 1;
        else if (!/^(40|55)/.test(code ?? ''))
          this.#problems.push(`a plan with ${kind} failed oddly: ${String(error)}`);
      } finally {
        await session.query('rollback');
      }
    }
  }
}

/** Table -> the tenant of `x`, by hand. */
const OWNED: readonly (readonly [string, string])[] = [
  ['organizations', 'x.id'],
  ['subscriptions', 'x.organization_id'],
  ['teams', 'x.organization_id'],
  ['users', 'x.organization_id'],
  ['folders', 'x.organization_id'],
  ['journal_entries', 'x.organization_id'],
  ['tags', 'x.organization_id'],
  ['activity_events', 'x.organization_id'],
  ['sessions', '(select organization_id from public.users where id = x.user_id)'],
  ['voice_notes', '(select organization_id from public.journal_entries where id = x.entry_id)'],
  ['entry_tags', '(select organization_id from public.journal_entries where id = x.entry_id)'],
  ['comments', '(select organization_id from public.journal_entries where id = x.entry_id)'],
  ['writing_days', '(select organization_id from public.users where id = x.user_id)'],
];

/** The transaction that the restore ran in: the newest one that wrote for the victim, whom no traffic writes for. */
async function restoreXid(client: pg.Client, after: string, victim: string): Promise<string | undefined> {
  const { rows } = await client.query(
    'select max(xid)::text as xid from holdfast.trail where seq > $1 and organization = $2',
    [after, victim],
  );
  return rows[0].xid ?? undefined;
}

async function damage(client: pg.Client, tenant: string, random: Random): Promise<void> {
  const ways = [
    "update public.users set email = 'x' || email, display_name = 'Nobody' where organization_id = $1",
    'delete from public.journal_entries where organization_id = $1',
    'delete from public.folders where organization_id = $1',
    'delete from public.users where id = (select id from public.users where organization_id = $1 order by id limit 1)',
    'update public.teams set lead_id = null where organization_id = $1',
    "update public.journal_entries set title = '', body = reverse(body) where organization_id = $1",
    "insert into public.tags (organization_id, name) values ($1, 'junk') on conflict do nothing",
    "update public.organizations set slug = 'gone-' || slug where id = $1",
    'delete from public.activity_events where organization_id = $1',
    `update public.comments set parent_id = null where author_id in (select id from public.users where organization_id = $1)`,
  ];
  await client.query('begin');
  for (let n = 1 + random.int(4); n > 0; n--) await client.query(random.pick(ways), [tenant]);
  await client.query('commit');
}

async function sabotagedNets(
  client: pg.Client,
  { bound }: ProtectedSample,
  victim: string,
  foreign: string,
): Promise<Record<string, Net[]>> {
  const id = (name: string) => bound.tables.find((t) => t.relname === name)!.id;
  const one = async (sql: string): Promise<Record<string, string | null>> =>
    (await client.query(sql, [foreign])).rows[0];
  const tag = await one(
    'select id::text, organization_id::text, name, color, created_at::text from public.tags where organization_id = $1 limit 1',
  );
  const session = await one(
    'select s.id::text, s.user_id::text from public.sessions s join public.users u on u.id = s.user_id where u.organization_id = $1 limit 1',
  );
  const entry = await one('select id::text from public.journal_entries where organization_id = $1 limit 1');
  const user = await one('select id::text from public.users where organization_id = $1 limit 1');
  const nets: Record<string, Net[]> = {};
  if (tag) {
    nets['a foreign row to change'] = [
      { table: id('tags'), record: tag.id!, state: { kind: 'partial', set: { color: '#abcdef' } } },
    ];
    nets['a foreign row to remove'] = [{ table: id('tags'), record: tag.id!, state: { kind: 'absent' } }];
    nets['a row handed to another tenant'] = [
      { table: id('tags'), record: '-77', state: { kind: 'full', row: { ...tag, id: '-77', name: 'sabotage' } } },
    ];
    nets['a foreign row taken over'] = [
      { table: id('tags'), record: tag.id!, state: { kind: 'full', row: { ...tag, organization_id: victim } } },
    ];
  }
  if (session) {
    nets['a foreign row reached through another table'] = [
      { table: id('sessions'), record: session.id!, state: { kind: 'partial', set: { user_agent: 'sabotage' } } },
    ];
  }
  if (entry && user) {
    nets['a new row that hangs on a foreign one'] = [
      {
        table: id('comments'),
        record: '-78',
        state: {
          kind: 'full',
          row: {
            id: '-78',
            entry_id: entry.id!,
            parent_id: null,
            author_id: user.id!,
            body: 'sabotage',
            created_at: '2026-01-01Z',
          },
        },
      },
    ];
  }
  return nets;
}

async function* iterate(nets: readonly Net[]): AsyncGenerator<Net> {
  yield* nets;
}
