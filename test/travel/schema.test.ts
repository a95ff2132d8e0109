import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { history } from '../../core/history/travel/history.ts';
import { stateAsOf } from '../../core/history/travel/stateAsOf.ts';
import { all, openTravelShop, type TravelShop } from './support.ts';

let shop: TravelShop;
let before: string;
beforeEach(async () => {
  shop = await openTravelShop();
  await shop.client.query("insert into shop.docs values (1, 'a', 'one', 1), (2, 'a', 'two', 2), (3, 'b', 'three', 3)");
  before = await shop.now();
});
afterEach(() => shop.database.drop());

const asOf = () => shop.lines('select * from holdfast.as_of(null::shop.docs, $1) order by id', before);

test('a renamed column is followed, one that came later has what rows from before hold', async () => {
  await shop.client.query(`
    update shop.docs set title = 'changed before' where id = 2;
    alter table shop.docs rename column title to headline;
    alter table shop.docs add column note text default 'none';
    update shop.docs set headline = 'changed', note = 'x' where id = 1;
    delete from shop.docs where id = 3`);
  expect(await asOf()).toEqual(['(1,a,one,1,none)', '(2,a,two,2,none)', '(3,b,three,3,none)']);
});

test('generated columns are computed where history has nothing of them', async () => {
  await shop.client.query(`
    update shop.docs set title = 'x' where id = 1;
    alter table shop.docs add column size int generated always as (length(title)) stored;
    update shop.docs set title = 'longer' where id = 2;
    delete from shop.docs where id = 3`);
  expect(await asOf()).toEqual(['(1,a,one,1,3)', '(2,a,two,2,3)', '(3,b,three,3,5)']);
  const { rows } = await shop.client.query("select current_setting('server_version_num')::int >= 180000 as virtual");
  if (!rows[0].virtual) return;
  await shop.client.query('alter table shop.docs add column twice numeric generated always as (amount * 2) virtual');
  expect(await asOf()).toEqual(['(1,a,one,1,3,2)', '(2,a,two,2,3,4)', '(3,b,three,3,5,6)']);
  expect(await shop.lines("select version from holdfast.versions(null::shop.docs, '1')")).toEqual([
    '("(1,a,x,1,1,2)")',
    '("(1,a,one,1,3,2)")',
  ]);
});

test('a dropped column: rows cannot show it, the history of a record does', async () => {
  await shop.client.query('update shop.docs set amount = 7 where id = 1; alter table shop.docs drop column amount');
  const state = await stateAsOf(shop.client, { table: 'shop.docs', at: { moment: before } });
  expect(state).toMatchObject({ columns: ['id', 'tenant', 'title'], lost: ['amount'] });
  expect(await all(state.rows)).toHaveLength(3);
  const found = await all((await history(shop.client, { table: 'shop.docs', key: ['1'] })).versions);
  expect(found[0]!.fields).toEqual([{ column: 'amount', old: '1', new: '7' }]);
});

test('a change that values cannot be carried across is refused by name, with the nearest moment', async () => {
  await shop.client.query('alter table shop.docs alter column amount type int using 0');
  const ask = (moment: string) => stateAsOf(shop.client, { table: 'shop.docs', at: { moment } });
  const error = await ask(before).catch(
    (e: unknown) => e as { code: string; message: string; details: { nearest: string } },
  );
  expect(error).toMatchObject({
    code: 'HF_SCHEMA_CHANGED',
    message: expect.stringContaining('amount was changed from numeric to integer'),
  });
  const { nearest } = (error as { details: { nearest: string } }).details;
  expect(await all((await ask(nearest)).rows)).toHaveLength(3);
});

test('a table that was dropped has a history still, and no rows', async () => {
  await shop.client.query('drop table shop.lines, shop.docs');
  await expect(stateAsOf(shop.client, { table: 'shop.docs', at: { moment: before } })).rejects.toMatchObject({
    code: 'HF_TABLE_GONE',
  });
  expect(await all((await history(shop.client, { table: 'shop.docs', key: ['1'] })).versions)).toMatchObject([
    { action: 'insert' },
  ]);
});
