/** What must raise no alarm: everything that Holdfast itself and the application do. */

import { join } from 'node:path';
import { advance } from '../../../core/history/advance.ts';
import { prune } from '../../../core/history/prune.ts';
import { exportBundle } from '../../../core/history/seal/bundle.ts';
import { redactTrail } from '../../../core/history/seal/redact.ts';
import { resumeSeals } from '../../../core/history/seal/resume.ts';
import { seal } from '../../../core/history/seal/seal.ts';
import { verifyBundle } from '../../../core/history/seal/verifyBundle.ts';
import { momentFromDate } from '../../../core/moment.ts';
import { connect } from '../../../core/sql.ts';
import type { Random } from '../suite.ts';
import { cutOff } from './tamper/cutOff.ts';
import { copyWorld, MAP, type World, work } from './world.ts';

export type Quiet = (base: World, random: Random, serverUrl: string) => Promise<void>;

async function calm(world: World): Promise<void> {
  const report = await world.verify();
  if (!report.ok) throw new Error(`false alarm: ${JSON.stringify(report.faults.slice(0, 2))}`);
}

const inCopy =
  (run: (world: World, random: Random) => Promise<void>): Quiet =>
  async (base, random, serverUrl) => {
    const world = await copyWorld(base, serverUrl);
    try {
      await run(world, random);
      await calm(world);
    } finally {
      await world.close();
    }
  };

/** Writers, a transaction that stays open and one that rolls back, while the trail is sealed, verified and scrubbed. */
const busy = inCopy(async (world, random) => {
  let stop = false;
  const writers = [0, 1, 2].map(async (n) => {
    const client = await connect(world.ctx.databaseUrl);
    while (!stop) {
      await client.query('begin');
      await client.query(`insert into app.rates values ('w${n}-${random.int(1e9)}', 1)`);
      if (n === 0) await client.query('select pg_sleep(0.3)');
      await client.query(n === 1 && random.chance(0.3) ? 'rollback' : 'commit');
      await work(client, random).catch((error) => {
        // Two writers may meet on a row or a key; that is the application's affair.
        if (!/^(40|23)/.test(error.code ?? '')) throw error;
        return client.query('rollback');
      });
    }
    await client.end();
  });
  try {
    for (let i = 0; i < 4; i++) {
      const [, { rows }] = await Promise.all([
        seal(world.ctx),
        world.client.query(
          "select seq::text from holdfast.trail where changes ->> 'email' is not null and organization = 'blue' order by seq limit 2",
        ),
        calm(world),
      ]);
      await Promise.all([
        redactTrail(world.ctx, {
          rows: rows.map(({ seq }) => ({ seq: BigInt(seq), columns: ['email'] })),
          reason: 'case',
        }),
        seal(world.ctx),
        calm(world),
      ]);
    }
  } finally {
    stop = true;
    await Promise.all(writers);
  }
  await seal(world.ctx);
});

/** A person is scrubbed everywhere: values, identity, what they did; the bundle stays sound, too. */
const erased = inCopy(async (world, random) => {
  const { rows: people } = await world.client.query(
    "select distinct person from holdfast.trail where organization = 'dune' and person is not null",
  );
  const person = random.pick(people as { person: string }[])?.person;
  const { rows } = await world.client.query(
    "select seq::text, array(select k from jsonb_object_keys(changes) k where k in ('email', 'name')) as columns from holdfast.trail where person = $1",
    [person],
  );
  const { rows: actors } = await world.client.query(
    "select distinct id::text from holdfast.actors where user_id = 'user-1'",
  );
  await redactTrail(world.ctx, {
    rows: rows.map((r) => ({ seq: BigInt(r.seq), columns: r.columns, parts: ['person', 'record', 'metadata'] })),
    actors: actors.map(({ id }) => id),
    reason: 'case 4711',
  });
  const { rows: left } = await world.client.query(
    "select from holdfast.trail where person = $1 or user_id = 'user-1'",
    [person],
  );
  if (left.length > 0) throw new Error(`${left.length} rows still name the person`);
  const folder = join(world.directory, 'after');
  await exportBundle(world.database.url, 'dune', folder);
  const report = await verifyBundle(folder, world.ctx.keys);
  if (!report.ok) throw new Error(`false alarm in a bundle: ${report.faults[0]!.message}`);
});

/** Months that were archived are dropped. */
const pruned = inCopy(async (world) => {
  const { client } = world;
  // Rows of two months that are over, sealed as they stand.
  await client.query(
    "create table holdfast.trail_2020_01 partition of holdfast.trail for values from ('2020-01-01Z') to ('2020-02-01Z')",
  );
  await client.query(
    "create table holdfast.trail_2020_02 partition of holdfast.trail for values from ('2020-02-01Z') to ('2020-03-01Z')",
  );
  await client.query(
    `insert into holdfast.trail select nextval('holdfast.seq'), null, txid_current(), timestamptz '2020-01-10Z' + i % 3 * interval '20 days', 2, 'U',
       case when i % 4 > 0 then 'acme' end, i::text, i::text, null, null, null, null, '{"name": ["a", "b"]}', null from generate_series(1, 40) i`,
  );
  await seal(world.ctx);
  const { snapshot } = await advance(client);
  const report = await prune(client, {
    before: momentFromDate(new Date('2020-02-15')),
    archivedTo: snapshot,
    archivedBy: 'b1',
    seals: world.ctx,
  });
  if (report.dropped.length !== 1) throw new Error(`dropped ${report.dropped}`);
  await calm(world);
  const verified = await world.verify();
  if (verified.pruned === 0) throw new Error('no row counts as pruned');
  await seal(world.ctx);
  await prune(client, { before: momentFromDate(new Date('2020-04-01')), archivedTo: snapshot, seals: world.ctx });
  await client.query("insert into app.rates values ('after', 1)");
  await seal(world.ctx);
});

/** The whole server is set back to an older state; the loss is owned up to, and sealing goes on. */
const setBack = inCopy(async (world) => {
  const n = Number((await world.client.query('select max(number)::text as n from holdfast.seal_entries')).rows[0].n);
  await cutOff(world, n - 1);
  if ((await world.verify()).ok) throw new Error('the loss was not noticed');
  await resumeSeals(world.ctx, 'restored from the physical backup of last night');
  await calm(world);
  await work(world.client, new (await import('../suite.ts')).Random(1));
  await seal(world.ctx);
});

/** Another classification of columns: what was sealed before keeps its own. */
const reclassed = inCopy(async (world, random) => {
  await work(world.client, random);
  await seal({ ...world.ctx, map: { ...MAP, tables: MAP.tables.map((t) => ({ ...t, columns: {} })) } });
  await world.client.query('alter table app.people rename column name to called');
  await world.client.query("update app.people set called = called || '.'");
  const { map: _, ...unmapped } = world.ctx;
  await seal(unmapped);
});

export const quiet: readonly Quiet[] = [busy, erased, pruned, setBack, reclassed];
