/** People at work: random statements of every kind, as several users in several sessions. */
import type { World } from '../../../test/undo/world.ts';
import type { Random } from '../suite.ts';
import type { Step } from './model.ts';
import { compare, readState, type State } from './state.ts';

const USERS = ['ann', 'bob', 'cat'] as const;
const WORDS = ['red', 'blue', 'tab\there', 'quote"', "o'hara", '{}', '\\N', ''];

export interface Moment {
  /** Steps that lie before it. */
  readonly steps: number;
  readonly time: string;
}

export class History {
  readonly steps: Step[] = [];
  readonly moments: Moment[] = [];
  state: State = new Map();
  readonly #world: World;
  readonly #random: Random;
  #visit = 0;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  async begin(): Promise<void> {
    await this.#world.as(
      'setup/setup',
      "insert into team values (1, 'a', 'Red', null), (2, 'a', 'Blue', null), (9, 'b', 'Other', null)",
      `insert into person (id, tenant_id, team_id, email, slug, age, low, high, note) values (10, 'a', 1, 'p10', 'x', 30, 1, 5, 'n'),
         (11, 'a', 2, 'p11', null, 31, 2, 6, null), (90, 'b', 9, 'p90', 'z', 50, 1, 5, null)`,
      "insert into plain values (1, 'a', 'one'), (2, 'a', 'two'), (3, 'b', 'three')",
      "insert into task (tenant_id, person_id, title) values ('a', 10, 'first'), ('a', 11, 'second')",
      "insert into room values ('a', 'x', 1, '[1,5)'), ('b', 'y', 1, '[90,95)')",
    );
    this.state = await readState(this.#world.client);
    await this.#mark();
  }

  /** One transaction by somebody; one that breaks a constraint changes nothing and is none. */
  async work(): Promise<void> {
    const random = this.#random;
    const user = random.pick(USERS);
    if (random.chance(0.3)) this.#visit += 1;
    const session = `${user}-${this.#visit % 3}`;
    const statements = [...new Set(Array.from({ length: 1 + random.int(3) }, () => statement(random)))];
    try {
      await this.note(await this.#world.as(`${user}/${session}`, ...statements), user, session);
    } catch (error) {
      if (!/^(22|23|HF)/.test((error as { code?: string }).code ?? '')) throw error;
    }
    if (random.chance(0.4)) await this.#mark();
  }

  /** Takes in what a transaction did. */
  async note(xid: string, user: string, session: string): Promise<void> {
    const next = await readState(this.#world.client);
    const diffs = compare(this.state, next);
    if (diffs.length > 0) this.steps.push({ xid, user, session, diffs });
    this.state = next;
  }

  async #mark(): Promise<void> {
    this.moments.push({ steps: this.steps.length, time: await this.#world.now() });
  }
}

/** Each touches a record at most once, so that what a transaction did can be told from the states around it. */
function statement(random: Random): string {
  const person = 10 + random.int(6);
  const team = 1 + random.int(4);
  const word = `'${random.pick(WORDS).replaceAll("'", "''")}'`;
  const low = random.int(12);
  const range = `'[${low},${low + 1 + random.int(4)})'`;
  const nullable = (value: string) => (random.chance(0.3) ? 'null' : value);
  const kinds: [number, () => string][] = [
    [3, () => `update person set ${column(random, word, nullable)} where id = ${person}`],
    [2, () => `update person set team_id = ${team} where id = ${person}`],
    [2, () => `update person set boss_id = ${nullable(String(10 + random.int(6)))} where id = ${person}`],
    [2, () => `update person set email = 'p${10 + random.int(8)}' where id = ${person}`],
    [
      1,
      () => `with two as (select min(id) as a, max(id) as b from person where id in (${person}, ${10 + random.int(6)}))
        update person set email = case id when two.a then 'swap' else 'p10' end from two where id in (two.a, two.b) and two.a <> two.b`,
    ],
    [
      3,
      () => `insert into person (id, tenant_id, team_id, email, slug, age, low, high, note, boss_id, settings) values
        (${person}, 'a', ${team}, 'p${10 + random.int(8)}', ${nullable("'s'")}, ${1 + random.int(9)}, ${random.int(4)}, ${4 + random.int(4)}, ${nullable(word)},
         ${nullable(String(10 + random.int(6)))}, ${nullable(`'{"k": [${random.int(5)}, null]}'`)})`,
    ],
    [2, () => `delete from person where id = ${person}`],
    [1, () => `insert into team values (${team}, 'a', ${word}, ${nullable(String(person))})`],
    [2, () => `update team set lead_id = ${nullable(String(person))} where id = ${team}`],
    [1, () => `update team set name = ${word} where id = ${team}`],
    [2, () => `delete from team where id = ${team}`],
    [2, () => `insert into task (tenant_id, person_id, title) values ('a', ${person}, ${word})`],
    [1, () => `update task set done = not done, title = title || 'x' where person_id = ${person}`],
    [1, () => `update task set person_id = ${10 + random.int(6)} where person_id = ${person}`],
    [1, () => `delete from task where person_id = ${person}`],
    [2, () => `insert into room values ('a', 'x', ${1 + random.int(4)}, ${range})`],
    [2, () => `update room set during = ${range} where tenant_id = 'a' and number = ${1 + random.int(4)}`],
    [1, () => `delete from room where tenant_id = 'a' and number = ${1 + random.int(4)}`],
    [1, () => `update room set number = ${1 + random.int(4)} where tenant_id = 'a' and number = ${1 + random.int(4)}`],
    [3, () => `update plain set value = ${word} where id = ${1 + random.int(6)} and tenant_id = 'a'`],
    [2, () => `insert into plain values (${4 + random.int(4)}, 'a', ${word})`],
    [2, () => `delete from plain where id = ${1 + random.int(7)} and tenant_id = 'a'`],
    [1, () => `update plain set value = ${word} where tenant_id = 'b'`],
    [1, () => `update tenant set name = ${word} where id = 'a'`],
  ];
  const total = kinds.reduce((sum, [weight]) => sum + weight, 0);
  let at = random.int(total);
  for (const [weight, make] of kinds) {
    if (at < weight) return make();
    at -= weight;
  }
  throw new Error('unreachable');
}

function column(random: Random, word: string, nullable: (value: string) => string): string {
  return random.pick([
    `age = ${1 + random.int(60)}`,
    `low = ${random.int(6)}`,
    `high = ${random.int(9)}`,
    `note = ${nullable(word)}`,
    `settings = ${nullable(`'{"k": ${random.int(3)}}'`)}`,
    `note = 'both', age = ${1 + random.int(60)}`,
    `slug = ${nullable("'abc'")}`,
  ]);
}
