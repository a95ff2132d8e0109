import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { withActor } from '../../core/history/actor.ts';
import { activity } from '../../core/history/travel/activity.ts';
import { history } from '../../core/history/travel/history.ts';
import { page } from '../../core/history/travel/stream.ts';
import { timeline } from '../../core/history/travel/timeline.ts';
import { all, allPages, openTravelShop, type TravelShop } from './support.ts';

let shop: TravelShop;
let start: string;
const ada = { userId: 'ada', email: 'ada@example.com', sessionId: 's1', ip: '192.0.2.7', userAgent: 'test' };
beforeAll(async () => {
  shop = await openTravelShop();
  start = await shop.now();
  await withActor(shop.client, ada, async () => {
    await shop.client.query("insert into shop.docs values (1, 'a', 'one', 1), (2, 'b', 'two', 2)");
  });
  await withActor(shop.client, { userId: 'bob' }, async () => {
    await shop.client.query("update shop.docs set title = 'eins', amount = 1.0 where id = 1");
  });
  await shop.client.query('update shop.docs set id = 10 where id = 1');
  await withActor(shop.client, ada, async () => {
    await shop.client.query('delete from shop.docs where id = 10');
  });
});
afterAll(() => shop.database.drop());

test('the history of a record: when, who, what, and until when', async () => {
  const found = await history(shop.client, { table: 'shop.docs', key: ['1'] });
  expect(found).toMatchObject({ table: 'shop.docs', record: '1' });
  const versions = await all(found.versions);
  expect(versions.map((v) => [v.action, v.who.userId, v.fields, v.moved])).toEqual([
    [
      'delete',
      null,
      [
        { column: 'id', old: '1', new: null },
        { column: 'title', old: 'eins', new: null },
        { column: 'amount', old: '1.0', new: null },
        { column: 'tenant', old: 'a', new: null },
      ],
      { to: { organization: 'a', record: '10' } },
    ],
    [
      'update',
      'bob',
      [
        { column: 'title', old: 'one', new: 'eins' },
        { column: 'amount', old: '1', new: '1.0' },
      ],
      null,
    ],
    [
      'insert',
      'ada',
      [
        { column: 'id', old: null, new: '1' },
        { column: 'title', old: null, new: 'one' },
        { column: 'amount', old: null, new: '1' },
        { column: 'tenant', old: null, new: 'a' },
      ],
      null,
    ],
  ]);
  expect(versions[2]!.who).toEqual({
    userId: 'ada',
    email: 'ada@example.com',
    sessionId: 's1',
    ip: '192.0.2.7',
    userAgent: 'test',
  });
  expect(versions.map((v) => v.until)).toEqual([null, versions[0]!.committedAt, versions[1]!.committedAt]);
  expect(versions.every((v) => v.committedAt! > start)).toBe(true);
});

test('commit times are those of the server', async () => {
  const versions = await all((await history(shop.client, { table: 'shop.docs', key: ['1'] })).versions);
  const { rows } = await shop.client.query(
    `select to_char(pg_xact_commit_timestamp(c.xid::text::xid) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at
       from holdfast.trail c where c.record = '1' order by c.seq desc`,
  );
  expect(versions.map((v) => v.committedAt)).toEqual(rows.map((r) => r.at));
});

test('the same in pages, and in SQL', async () => {
  const pages = await allPages(async (after) => {
    const query = { table: 'shop.docs', key: ['id=1'], limit: 1 };
    const found = await history(shop.client, { ...query, ...(after ? { after } : {}) });
    return page(found.versions, 1);
  });
  expect(pages.flat()).toEqual(await all((await history(shop.client, { table: 'shop.docs', key: ['1'] })).versions));
  expect(await shop.lines("select action, user_id, until is null from holdfast.history('shop.docs', '1')")).toEqual([
    '(insert,ada,f)',
    '(update,bob,f)',
    '(delete,,t)',
  ]);
  expect(
    await shop.lines("select action, version, (version).amount from holdfast.versions(null::shop.docs, '1')"),
  ).toEqual(['(delete,,)', '(update,"(1,a,eins,1.0)",1.0)', '(insert,"(1,a,one,1)",1)']);
});

test("a user's activity, newest first, in a tenant, between moments, in pages", async () => {
  const list = async (query: Parameters<typeof activity>[1]) =>
    (await all((await activity(shop.client, query)).changes)).map((c) => `${c.action} ${c.record} ${c.tenant}`);
  expect(await list({ user: 'ada' })).toEqual(['delete 10 a', 'insert 2 b', 'insert 1 a']);
  expect(await list({ user: 'ada', tenant: 'b' })).toEqual(['insert 2 b']);
  expect(await list({ user: 'nobody' })).toEqual([]);
  expect(await list({ user: 'ada', to: { moment: start } })).toEqual([]);
  expect(await list({ tenant: 'a', table: 'shop.docs', from: { moment: start } })).toHaveLength(5);
  const pages = await allPages(async (after) =>
    page((await activity(shop.client, { limit: 2, ...(after ? { after } : {}) })).changes, 2),
  );
  expect(pages.map((p) => p.length)).toEqual([2, 2, 2]);
  expect(pages.flat().map((c) => c.seq)).toEqual(
    (await all((await activity(shop.client, {})).changes)).map((c) => c.seq),
  );
});

test('a timeline has a bucket for every stretch of time, and every change in one', async () => {
  const { buckets, from, to } = await timeline(shop.client, { bucket: '10 ms' });
  const sum = (field: 'inserts' | 'updates' | 'deletes' | 'transactions') => buckets.reduce((n, b) => n + b[field], 0);
  expect([sum('inserts'), sum('updates'), sum('deletes'), sum('transactions')]).toEqual([3, 1, 2, 4]);
  expect(buckets.length).toBe(Math.floor(Date.parse(to) / 10) - Math.floor(Date.parse(from) / 10) + 1);
  const wide = await timeline(shop.client, {
    bucket: '1 month',
    zone: 'Asia/Kathmandu',
    tenant: 'a',
    table: 'shop.docs',
    user: 'ada',
  });
  expect(wide.buckets.at(-1)).toMatchObject({ inserts: 1, updates: 0, deletes: 1, transactions: 2, users: 1 });
  expect(wide.buckets[0]!.begins).toMatch(/T18:15:00.000000Z$/);
});
