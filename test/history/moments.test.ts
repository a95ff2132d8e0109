import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { advance } from '../../core/history/advance.ts';
import { readChanges } from '../../core/history/changes.ts';
import { resolveCut } from '../../core/history/cuts.ts';
import { createRestorePoint, findRestorePoint } from '../../core/history/restorePoints.ts';
import { inCut } from '../../core/history/snapshots.ts';
import type { Change, Cut } from '../../core/history/types.ts';
import { openShop, type Shop } from './support.ts';

let shop: Shop;
beforeAll(async () => {
  shop = await openShop();
});
afterAll(() => shop.database.drop());

const now = async () =>
  BigInt(
    (await shop.client.query('select (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as now')).rows[0]
      .now,
  );

async function after(cut: Cut): Promise<string[]> {
  const records: string[] = [];
  for await (const change of readChanges(shop.client, { after: cut, order: 'seq' })) records.push(change.record!);
  return records;
}

test('a moment between two commits divides them, whenever it is asked', async () => {
  const other = await shop.database.client();
  await other.query('begin');
  await other.query("insert into shop.docs values (1, 'a')"); // begins first, commits last
  await shop.client.query("insert into shop.docs values (2, 'a')");
  const between = await now();
  await other.query('commit');
  const early = await resolveCut(shop.client, between);
  expect(await after(early)).toEqual(['1']);
  await shop.client.query("insert into shop.docs values (3, 'a')");
  await advance(shop.client);
  expect(await after(await resolveCut(shop.client, between))).toEqual(['1', '3']);
  expect(await after(early)).toEqual(['1', '3']);
  expect(await after(await resolveCut(shop.client, await now()))).toEqual([]);
});

test('a transaction in progress is after the moment, also the one that asks', async () => {
  await shop.client.query('begin');
  await shop.client.query("insert into shop.docs values (4, 'a')");
  const { moment } = await advance(shop.client);
  await shop.client.query('commit');
  expect(await after(await resolveCut(shop.client, moment))).toEqual(['4']);
});

test('a database at rest keeps one horizon', async () => {
  await advance(shop.client);
  const count = async () => (await shop.client.query('select count(*)::int as n from holdfast.horizons')).rows[0].n;
  const n = await count();
  for (let i = 0; i < 5; i += 1) await advance(shop.client);
  expect(await count()).toBe(n);
});

test('moments outside history are refused with the nearest', async () => {
  await expect(resolveCut(shop.client, (await now()) + 60_000_000n)).rejects.toMatchObject({ code: 'HF_TIME_FUTURE' });
  await expect(resolveCut(shop.client, 1n)).rejects.toMatchObject({ code: 'HF_TIME_BEFORE_HISTORY' });
});

test('a restore point is exact and its name is taken once', async () => {
  const point = await createRestorePoint(shop.client, { name: 'before', tenant: 'a', reason: 'test' });
  await shop.client.query("insert into shop.docs values (5, 'a')");
  const found = await findRestorePoint(shop.client, 'before', 'a');
  expect(found).toEqual(point);
  expect(await after(found.cut)).toEqual(['5']);
  await expect(createRestorePoint(shop.client, { name: 'before', tenant: 'a' })).rejects.toMatchObject({
    code: 'HF_RESTORE_POINT_EXISTS',
  });
  await expect(findRestorePoint(shop.client, 'before', 'b')).rejects.toMatchObject({
    code: 'HF_RESTORE_POINT_UNKNOWN',
  });
});

test('restore points made by several sessions at once are all made, each with its own moment', async () => {
  const made = await Promise.all(
    Array.from({ length: 4 }, async (_, session) => {
      const client = await shop.database.client();
      const points = [];
      for (let i = 0; i < 25; i += 1) {
        const point = await createRestorePoint(client, { name: `point ${session} ${i}`, tenant: 'a' });
        await client.query('insert into shop.docs values ($1, $2)', [1000 + session * 100 + i, 'a']);
        points.push({ record: `${1000 + session * 100 + i}`, point });
      }
      return points;
    }),
  );
  for (const points of made) {
    for (const [i, { point }] of points.entries()) {
      const later = new Set(await after(point.cut));
      expect(points.map(({ record }) => later.has(record))).toEqual(points.map((_, n) => n >= i));
    }
  }
});

test('many transactions become several horizons with the same answers', async () => {
  const start = await advance(shop.client);
  await shop.client.query(
    `do $$ begin for i in 100..160 loop insert into shop.docs values (i, 'b'); commit; end loop; end $$`,
  );
  await shop.client.query(
    `do $$ begin execute replace(pg_get_functiondef('holdfast.advance'::regproc), ':= 50000', ':= 7'); end $$`,
  );
  await advance(shop.client);
  const { rows } = await shop.client.query(
    `select h.id::text, cardinality(h.xids) as n from holdfast.horizons h where h.id > $1 order by h.id`,
    [start.id.toString()],
  );
  expect(rows.map((r) => r.n)).toEqual([7, 7, 7, 7, 7, 7, 7, 7, 5]);
  const commits = (
    await shop.client.query(
      `select c.xid::text, (extract(epoch from pg_xact_commit_timestamp(c.xid::text::xid)) * 1000000)::bigint::text as at
         from holdfast.trail c where c.organization = 'b' order by c.seq`,
    )
  ).rows;
  for (const i of [0, 6, 7, 30, 60]) {
    const cut = await resolveCut(shop.client, BigInt(commits[i].at));
    const included = commits.filter((c) => inCut(BigInt(c.xid), cut)).length;
    expect(included).toBe(commits.filter((c) => BigInt(c.at) <= BigInt(commits[i].at)).length);
  }
});

test('changes stream inside a transaction and outside, in the order of each record', async () => {
  await shop.client.query('begin');
  const seen: Change[] = [];
  for await (const change of readChanges(shop.client, { organization: 'b' })) {
    seen.push(change);
    if (seen.length === 3) break; // leaving early closes the cursor
  }
  await shop.client.query('commit');
  expect(seen.map((c) => c.record)).toEqual(['100', '101', '102']);
  expect(seen[0]).toMatchObject({ action: 'I', organization: 'b', changes: { id: '100', tenant: 'b', title: null } });
});
