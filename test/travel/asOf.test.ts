import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRestorePoint } from '../../core/history/restorePoints.ts';
import { diff } from '../../core/history/travel/diff.ts';
import { stateAsOf } from '../../core/history/travel/stateAsOf.ts';
import { page } from '../../core/history/travel/stream.ts';
import { all, allPages, openTravelShop, type TravelShop } from './support.ts';

let shop: TravelShop;
let before: string;
let between: string;
beforeAll(async () => {
  shop = await openTravelShop();
  await shop.client.query(`
    insert into shop.docs select i, case when i % 2 = 0 then 'a' else 'b' end, 'doc ' || i, i * 1.50 from generate_series(1, 25) i;
    insert into shop.lines select i, n, 'line' from generate_series(1, 25) i, generate_series(1, 2) n`);
  before = await shop.now();
  await shop.client.query(`
    update shop.docs set title = 'changed', amount = 1.0 where id = 2;
    update shop.docs set title = 'changed again' where id = 2;
    delete from shop.docs where id = 4;
    update shop.docs set id = 106 where id = 6;
    insert into shop.docs values (200, 'a', 'new', null);
    update shop.docs set title = title || '!' where tenant = 'b'`);
  between = await shop.now();
  await shop.client.query(`
    update shop.docs set tenant = 'b' where id = 8;
    insert into shop.docs values (4, 'a', 'again', 0);
    update shop.docs set amount = 1.00 where id = 2`);
});
afterAll(() => shop.database.drop());

const was = Array.from({ length: 25 }, (_, n) => n + 1);
const row = (i: number) => `(${i},${i % 2 === 0 ? 'a' : 'b'},"doc ${i}",${(i * 1.5).toFixed(2)})`;

test('a table, a tenant and a record as they were, in the types of the table', async () => {
  expect(await shop.lines('select * from holdfast.as_of(null::shop.docs, $1) order by id', before)).toEqual(
    was.map(row),
  );
  expect(await shop.lines("select * from holdfast.as_of(null::shop.docs, $1, 'a') order by id", before)).toEqual(
    was.filter((i) => i % 2 === 0).map(row),
  );
  expect(await shop.lines("select * from holdfast.as_of(null::shop.docs, $1, key => '{4}')", before)).toEqual([row(4)]);
  expect(await shop.lines("select * from holdfast.as_of(null::shop.docs, $1, key => '{200}')", before)).toEqual([]);
  expect(await shop.lines("select * from holdfast.as_of(null::shop.docs, $1, key => '{4}')", between)).toEqual([]);
  expect(await shop.lines('select sum(amount) from holdfast.as_of(null::shop.docs, $1)', before)).toEqual(['(487.50)']);
});

test('rows that reach their tenant through another table', async () => {
  const lines = await shop.lines("select * from holdfast.as_of(null::shop.lines, $1, 'a') order by doc, n", before);
  expect(lines).toEqual(was.filter((i) => i % 2 === 0).flatMap((i) => [`(${i},1,line)`, `(${i},2,line)`]));
  expect(await shop.lines("select * from holdfast.as_of(null::shop.lines, $1, key => '{6,2}')", before)).toEqual([
    '(6,2,line)',
  ]);
});

test('a row that moved to another tenant belongs to each in its time', async () => {
  const of = (tenant: string, moment: string) =>
    shop.lines('select id from holdfast.as_of(null::shop.docs, $1, $2) where id = 8', moment, tenant);
  expect(await of('a', between)).toEqual(['(8)']);
  expect(await of('b', between)).toEqual([]);
  expect(await of('a', await shop.now())).toEqual([]);
  expect(await of('b', await shop.now())).toEqual(['(8)']);
});

test('in pages, in the order of the key, of one state whatever happens meanwhile', async () => {
  const pages = await allPages(async (after) => {
    const paging = { limit: 4, ...(after === undefined ? {} : { after }) };
    const state = await stateAsOf(shop.client, { table: 'shop.docs', at: { moment: before }, tenant: 'a', ...paging });
    await shop.client.query("update shop.docs set title = title || '?' where tenant = 'a'");
    return page(state.rows, 4);
  });
  expect(pages.map((p) => p.length)).toEqual([4, 4, 4]);
  expect(pages.flat().map((r) => r.id)).toEqual(was.filter((i) => i % 2 === 0).map(String));
  expect(pages.flat()[0]).toEqual({ id: '2', tenant: 'a', title: 'doc 2', amount: '3.00' });
});

test('at a restore point, and now', async () => {
  await createRestorePoint(shop.client, { name: 'here', tenant: null });
  await shop.client.query('delete from shop.docs where id = 1');
  const at = async (when: Parameters<typeof stateAsOf>[1]['at']) =>
    all((await stateAsOf(shop.client, { table: 'shop.docs', at: when, key: ['id=1'] })).rows);
  expect(await at({ restorePoint: 'here' })).toMatchObject([{ id: '1' }]);
  expect(await at('now')).toEqual([]);
});

test('the difference between two moments leaves out what changed back', async () => {
  const found = await shop.lines(
    `select action, record, (before).title, (after).title, (before).amount, (after).amount
       from holdfast.diff(null::shop.docs, $1, $2, 'a')`,
    before,
    between,
  );
  expect(found).toEqual([
    '(insert,106,,"doc 6",,9.00)',
    '(update,2,"doc 2","changed again",3.00,1.0)',
    '(insert,200,,new,,)',
    '(delete,4,"doc 4",,6.00,)',
    '(delete,6,"doc 6",,9.00,)',
  ]);
  const back = await shop.now();
  await shop.client.query(
    "update shop.docs set title = 'x' where id = 3; update shop.docs set title = 'doc 3!' where id = 3",
  );
  const nothing = await diff(shop.client, { table: 'shop.docs', from: { moment: back } });
  expect(await all(nothing.differences)).toEqual([]);
});

test('in pages where the key is a text, which is no JSON', async () => {
  const pages = await allPages(async (after) => {
    const query = { table: 'shop.tenants', at: 'now' as const, limit: 1 };
    return page((await stateAsOf(shop.client, { ...query, ...(after === undefined ? {} : { after }) })).rows, 1);
  });
  expect(pages.flat().map((r) => r.id)).toEqual(['a', 'b']);
});

test('the difference in pages', async () => {
  const pages = await allPages(async (after) => {
    const query = { table: 'shop.docs', from: { moment: before }, to: { moment: between }, limit: 3 };
    return page((await diff(shop.client, { ...query, ...(after === undefined ? {} : { after }) })).differences, 3);
  });
  expect(pages.map((p) => p.length)).toEqual([3, 3, 3, 3, 3, 3]);
  expect(pages.flat().map((d) => d.record)).toEqual([...new Set(pages.flat().map((d) => d.record))].sort());
  expect(pages.flat().find((d) => d.record === '2')).toEqual({
    table: 'shop.docs',
    record: '2',
    action: 'update',
    before: { id: '2', tenant: 'a', title: 'doc 2', amount: '3.00' },
    after: { id: '2', tenant: 'a', title: 'changed again', amount: '1.0' },
    columns: ['title', 'amount'],
  });
});

test('reading changes nothing, and leaves the connection free', async () => {
  const digest = () => shop.lines('select count(*), max(seq) from holdfast.trail');
  const first = await digest();
  const state = await stateAsOf(shop.client, { table: 'shop.docs', at: { moment: before } });
  for await (const _ of state.rows) break;
  expect(await digest()).toEqual(first);
  expect(await shop.lines('select pg_current_xact_id_if_assigned()')).toEqual(['()']);
});

test("the transaction's own uncommitted changes are after every moment", async () => {
  await shop.client.query('begin');
  await shop.client.query("update shop.docs set title = 'mine' where id = 10");
  const seen = await shop.lines("select title from holdfast.as_of(null::shop.docs, $1, key => '{10}')", before);
  await shop.client.query('rollback');
  expect(seen).toEqual(['("doc 10")']);
});
