/** People at work on the sample, all at once: what an application does to its database on an ordinary day. */
import type pg from 'pg';
import { Random } from '../bench/prove/suite.ts';
import { connect } from '../core/sql.ts';
import { ACTIONS, type Scene } from './actions.ts';

export interface TrafficOptions {
  /** Concurrent sessions. @default 4 */
  readonly writers?: number;
  /** What each writer chooses to do follows from it; how they meet does not. @default 1 */
  readonly seed?: number;
  /** Organization ids to act for. @default all */
  readonly tenants?: readonly string[];
  /** Milliseconds of thought between two actions, at most. @default 0 */
  readonly think?: number;
}

export interface TrafficStats {
  /** Committed transactions by action. */
  readonly committed: Readonly<Record<string, number>>;
  /** Transactions that their own author rolled back. */
  readonly rolledBack: number;
  /** Tries again after a deadlock, a serialization failure or a row that someone else took away. */
  readonly retries: number;
}

export interface Traffic {
  /** Lets every writer finish what it is doing. Safe to call twice. */
  stop(): Promise<TrafficStats>;
}

/** What an application tries again: serialization, deadlock, and losing a race for a key or a parent row. */
const RETRY = new Set(['40001', '40P01', '23505', '23503', '23P01', '55P03']);
const MAX_TRIES = 5;

class RolledBack extends Error {}

interface Person {
  readonly id: string;
  readonly email: string;
  readonly tenant: string;
}

/**
 * Starts writers against a sample database. Each acts as one user after the other, in transactions, and says who it is
 * (`holdfast.set_actor`) where Holdfast is installed.
 */
export async function startTraffic(url: string, options: TrafficOptions = {}): Promise<Traffic> {
  const { writers = 4, seed = 1, tenants, think = 0 } = options;
  const committed: Record<string, number> = {};
  const counters = { rolledBack: 0, retries: 0 };
  let stopping = false;

  async function writer(client: pg.Client, random: Random): Promise<void> {
    const { rows: people } = await client.query<Person>(
      `select id, email, organization_id as tenant from public.users where $1::uuid[] is null or organization_id = any ($1)
        order by id`,
      [tenants ?? null],
    );
    while (!stopping && people.length > 0) {
      const person = random.pick(people);
      const action = random.pick(ACTIONS);
      for (let tries = 1; tries <= MAX_TRIES; tries++) {
        const outcome = await attempt(client, person, random, action.run);
        if (outcome === 'again') {
          counters.retries++;
          continue;
        }
        if (outcome === 'rolled back') counters.rolledBack++;
        else committed[action.name] = (committed[action.name] ?? 0) + 1;
        break;
      }
      if (think > 0) await new Promise((done) => setTimeout(done, random.int(think)));
    }
  }

  const clients = await Promise.all(Array.from({ length: writers }, () => connect(url, 'sample-traffic')));
  const running = Promise.all(
    clients.map((client, n) => writer(client, new Random(seed * 1009 + n)).finally(() => client.end().catch(() => {}))),
  );
  running.catch(() => {}); // reported by stop()
  return {
    async stop() {
      stopping = true;
      await running;
      return { committed, ...counters };
    },
  };
}

async function attempt(
  client: pg.Client,
  person: Person,
  random: Random,
  run: (scene: Scene) => Promise<void>,
): Promise<'committed' | 'rolled back' | 'again'> {
  try {
    await client.query(random.chance(0.1) ? 'begin isolation level repeatable read' : 'begin');
    await introduce(client, person, random);
    await run({ client, random, ...person });
    // People change their minds.
    if (random.chance(0.06)) throw new RolledBack();
    await client.query('commit');
    return 'committed';
  } catch (error) {
    await client.query('rollback');
    if (error instanceof RolledBack) return 'rolled back';
    if (RETRY.has((error as { code?: string }).code ?? '')) return 'again';
    throw error;
  }
}

async function introduce(client: pg.Client, { id, email, tenant }: Person, random: Random): Promise<void> {
  const { rows } = await client.query<{ there: boolean }>(
    `select to_regprocedure('holdfast.set_actor(text, text, text, inet, text)') is not null as there,
            set_config('app.tenant_id', $1, true)`,
    [tenant],
  );
  if (!rows[0]!.there) return;
  const session = `session-${id.slice(0, 8)}-${random.int(3)}`;
  await client.query('select holdfast.set_actor($1, $2, $3, $4::inet, $5)', [
    id,
    email,
    session,
    '10.1.2.3',
    'Journal/4.2',
  ]);
}
