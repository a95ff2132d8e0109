/** One of eight clients that behave as badly as an application may: nested work, savepoints, roll-backs, long transactions. */

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { Random } from '../suite.ts';

type Operation = (client: pg.Client, r: Random) => Promise<unknown>;

const WORDS = [
  'plain',
  'next',
  'self',
  'idle',
  'swap',
  'phoenix',
  'brief',
  'grow',
  'vanish',
  'rekey',
  'emigrate',
  'self next',
];
const note = (r: Random) => 1 + r.int(220);
const org = (r: Random) => 1 + r.int(5);
const word = (r: Random) => r.pick(WORDS);

const OPERATIONS: readonly Operation[] = [
  (c, r) => c.query('update app.notes set txt = $2, n = n + 1 where id = $1', [note(r), word(r)]),
  (c, r) =>
    c.query(
      'update app.notes set txt = case when id % 2 = 0 then $3 else txt end, n = n + 1 where id between $1 and $2',
      range(r, 6, word(r)),
    ),
  (c, r) => c.query('update app.notes set n = n where id between $1 and $2', range(r, 9)),
  (c, r) => c.query('delete from app.notes where id between $1 and $2', range(r, 4)),
  (c, r) =>
    c.query(
      'insert into app.notes (id, org, parent, txt) values ($1, $2, null, $3) on conflict (id) do update set txt = excluded.txt, n = notes.n + 1',
      [note(r), org(r), word(r)],
    ),
  (c, r) =>
    c.query(
      'insert into app.notes (id, org, txt) select g, $3, $4 from generate_series($1::int, $2::int) g on conflict do nothing',
      [...range(r, 5), org(r), word(r)],
    ),
  (c, r) => c.query('update app.notes set n = n + app.touch(id) where id between $1 and $2', range(r, 5)),
  (c, r) => c.query('update app.notes set id = $2 where id = $1', [note(r), note(r)]),
  (c, r) => c.query('update app.notes set org = $2 where id = $1', [note(r), org(r)]),
  (c, r) => c.query('update app.notes set parent = $2 where id = $1', [note(r), note(r)]),
  (c, r) => c.query('select app.attempt($1, $2)', [note(r), r.chance(0.5)]),
  (c, r) =>
    c.query(
      'with gone as (delete from app.notes where id = $1 returning *) insert into app.notes select id, org, parent, txt, n + 1 from gone',
      [note(r)],
    ),
  (c, r) =>
    c.query(
      'with a as (update app.notes set n = n + 1 where id = $1 returning id) update app.notes set n = n + 2 where id = $2',
      [note(r), note(r)],
    ),
  (c, r) =>
    c
      .query('select * from app.notes where id = $1 for update', [note(r)])
      .then((x) => c.query('update app.notes set n = n + 1 where id = $1', [x.rows[0]?.id])),
  (c, r) =>
    c.query(
      'insert into app.items (a, b, person, val) values ($1, $2, $3, $4) on conflict (a, b) do update set val = items.val + 1',
      [r.int(50), `b${r.int(300)}`, 1 + r.int(100), r.int(1000)],
    ),
  (c, r) => c.query('update app.items set val = val + 1 where a = $1', [r.int(50)]),
  (c, r) => c.query("update app.items set b = b || '\"x' where a = $1 and length(b) < 9", [r.int(50)]),
  (c, r) =>
    c.query('update app.items set person = $2 where a = $1 and person = $3', [
      r.int(50),
      r.chance(0.2) ? null : 1 + r.int(100),
      1 + r.int(100),
    ]),
  (c, r) => c.query('delete from app.items where a = $1', [r.int(50)]),
  (c, r) =>
    c.query('insert into app.people (id, team, name) values ($1, $2, $3) on conflict do nothing', [
      1 + r.int(110),
      1 + r.int(20),
      'p',
    ]),
  (c, r) => c.query('delete from app.people where id = $1', [1 + r.int(110)]),
  (c, r) =>
    c.query('update app.people set team = $2, name = $3 where id = $1', [1 + r.int(110), 1 + r.int(20), word(r)]),
  (c, r) =>
    r.chance(0.2)
      ? c.query('update app.people set id = $2 where id = $1', [1 + r.int(110), 1 + r.int(110)])
      : Promise.resolve(),
  (c, r) =>
    r.chance(0.2)
      ? c.query('update app.teams set org = $2, name = name || $3 where id = $1', [1 + r.int(20), org(r), '!'])
      : Promise.resolve(),
  (c, r) => (r.chance(0.1) ? c.query('delete from app.teams where id = $1', [1 + r.int(20)]) : Promise.resolve()),
  (c, r) => c.query("insert into app.teams values ($1, $2, 'new') on conflict do nothing", [1 + r.int(20), org(r)]),
  (c, r) => c.query('update app.events set day = $2, val = val + 1 where id = $1', [1 + r.int(220), r.int(20)]),
  (c, r) => c.query('update app.events_1a set val = val + 1 where id < $1', [r.int(200)]),
  (c, r) =>
    c.query(
      'insert into app.events values ($1, $2, $3, 1) on conflict (id, day) do update set val = events.val + 1, org = excluded.org',
      [1 + r.int(220), r.int(20), org(r)],
    ),
  (c, r) => c.query('delete from app.events where id between $1 and $2', range(r, 3)),
  merge,
  copy,
  (c, r) => (r.chance(0.1) ? c.query('truncate app.scraps') : Promise.resolve()),
  (c, r) =>
    c.query('insert into app.scraps values ($1, $2, $3) on conflict (id) do update set txt = excluded.txt', [
      r.int(50),
      org(r),
      word(r),
    ]),
  (c, r) => c.query(`select pg_sleep(${r.next() * 0.02})`),
];

function range(r: Random, length: number, ...more: unknown[]): unknown[] {
  const low = note(r);
  return [low, low + r.int(length), ...more];
}

async function merge(client: pg.Client, r: Random): Promise<void> {
  if ((client as unknown as { holdfastVersion: number }).holdfastVersion < 15) return;
  await client.query(
    `merge into app.events e using (select g as id, $3::int as day from generate_series($1::int, $2::int) g) s on e.id = s.id and e.day = s.day
     when matched and e.val % 3 = 0 then delete
     when matched then update set val = e.val + 1
     when not matched then insert values (s.id, s.day, 1, 0)`,
    [...range(r, 6), r.int(20)],
  );
}

async function copy(client: pg.Client, r: Random): Promise<void> {
  const low = 1000 + r.int(1_000_000_000);
  const lines = Array.from({ length: 1 + r.int(5) }, (_, i) => `${low + i}\t${r.int(20)}\t${org(r)}\t${r.int(9)}\n`);
  await pipeline(Readable.from(lines), client.query(copyFrom('copy app.events from stdin')));
}

export interface WriterStats {
  committed: number;
  rolledBack: number;
  failed: number;
}

/** Runs `count` transactions. Failures that an application meets (deadlock, unique, foreign key) end the transaction. */
export async function write(client: pg.Client, r: Random, count: number): Promise<WriterStats> {
  const stats: WriterStats = { committed: 0, rolledBack: 0, failed: 0 };
  const version = await client.query("select current_setting('server_version_num')::int / 10000 as v");
  Object.assign(client, { holdfastVersion: version.rows[0].v });
  for (let i = 0; i < count; i += 1) {
    try {
      await client.query(r.chance(0.1) ? 'begin isolation level repeatable read' : 'begin');
      if (r.chance(0.5)) await client.query("select holdfast.set_actor($1, 'a@example.org')", [`user ${r.int(9)}`]);
      for (let n = r.int(6); n >= 0; n -= 1) await step(client, r);
      if (r.chance(0.15)) {
        await client.query('rollback');
        stats.rolledBack += 1;
      } else {
        await client.query('commit');
        stats.committed += 1;
      }
    } catch (error) {
      await client.query('rollback');
      const code = (error as { code?: string }).code ?? '';
      // Integrity, deadlock, serialization, a row changed under its own trigger, TRUNCATE refused: an application's own trouble.
      if (!/^(23|40|27|55006|HF002)/.test(code)) throw error;
      stats.failed += 1;
    }
  }
  return stats;
}

async function step(client: pg.Client, r: Random): Promise<void> {
  const operation = r.pick(OPERATIONS);
  if (!r.chance(0.3)) {
    await operation(client, r);
    return;
  }
  await client.query('savepoint s');
  try {
    await operation(client, r);
    await client.query(r.chance(0.4) ? 'rollback to savepoint s' : 'release savepoint s');
  } catch (error) {
    if ((error as { code?: string }).code?.startsWith('40')) throw error;
    await client.query('rollback to savepoint s');
  }
}
