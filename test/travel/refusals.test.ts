import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { activity } from '../../core/history/travel/activity.ts';
import { diff } from '../../core/history/travel/diff.ts';
import { history } from '../../core/history/travel/history.ts';
import { stateAsOf } from '../../core/history/travel/stateAsOf.ts';
import { timeline } from '../../core/history/travel/timeline.ts';
import { openTravelShop, type TravelShop } from './support.ts';

let shop: TravelShop;
let moment: string;
beforeAll(async () => {
  shop = await openTravelShop();
  await shop.client.query(
    "create table shop.loose (a int); insert into shop.docs values (1, 'a', 'one', 1), (2, 'b', 'two', 2)",
  );
  moment = await shop.now();
  await shop.client.query("update shop.docs set title = 'later'");
});
afterAll(() => shop.database.drop());

const state = (query: object) => stateAsOf(shop.client, { table: 'shop.docs', at: { moment }, ...query });

test.each([
  ['a table that is not there', () => state({ table: 'shop.dogs' }), 'HF_TABLE_UNKNOWN', /Did you mean shop.docs/],
  ['a table without history', () => state({ table: 'shop.loose' }), 'HF_NOT_PROTECTED', /holdfast install/],
  ['a key of the wrong shape', () => state({ key: ['1', '2'] }), 'HF_KEY_INVALID', /column=value/],
  ['a key of the wrong type', () => state({ key: ['one'] }), 'HF_KEY_INVALID', /column=value/],
  ['a tenant that never was', () => state({ tenant: 'c' }), 'HF_TENANT_UNKNOWN', /tenant column/],
  ['the future', () => state({ at: { moment: '2999-01-01' } }), 'HF_TIME_FUTURE', /has passed/],
  ['before history', () => state({ at: { moment: '1999-01-01' } }), 'HF_TIME_BEFORE_HISTORY', /later moment/],
  ['no time', () => state({ at: { moment: 'yesterday' } }), 'HF_TIME_INVALID', /Write it as/],
  ['no such restore point', () => state({ at: { restorePoint: 'x' } }), 'HF_RESTORE_POINT_UNKNOWN', /list/],
  ['a place that was cut short', () => state({ after: 'eyJ4' }), 'HF_PLACE_INVALID', /unchanged/],
  [
    'a place of another question',
    async () => state({ after: Buffer.from('{"question":"diff"}').toString('base64url') }),
    'HF_PLACE_INVALID',
    /unchanged/,
  ],
  [
    'a difference backwards',
    async () => diff(shop.client, { table: 'shop.docs', from: 'now', to: { moment } }),
    'HF_ARGUMENT_INVALID',
    /earlier moment first/,
  ],
  ['a bucket that is none', () => timeline(shop.client, { bucket: 'often' }), 'HF_ARGUMENT_INVALID', /15 minutes/],
  ['a bucket of nothing', () => timeline(shop.client, { bucket: '0' }), 'HF_ARGUMENT_INVALID', /15 minutes/],
  [
    'a bucket of months and days',
    () => timeline(shop.client, { bucket: '1 month 1 day' }),
    'HF_ARGUMENT_INVALID',
    /15 minutes/,
  ],
  ['too many buckets', () => timeline(shop.client, { bucket: '1 us' }), 'HF_ARGUMENT_INVALID', /wider/],
  [
    'a zone that is none',
    () => timeline(shop.client, { bucket: '1 day', zone: 'Mars/Base' }),
    'HF_ARGUMENT_INVALID',
    /Europe/,
  ],
  [
    'the history of a table that is not there',
    () => history(shop.client, { table: 'x', key: ['1'] }),
    'HF_TABLE_UNKNOWN',
    /Correct/,
  ],
  ['activity in a table that is not there', () => activity(shop.client, { table: 'x' }), 'HF_TABLE_UNKNOWN', /Correct/],
])('%s is refused', async (_, ask, code, action) => {
  await expect(ask()).rejects.toMatchObject({ code, action: expect.stringMatching(action) });
});

test('what the database refuses has its own SQLSTATE', async () => {
  const ask = (sql: string) => shop.client.query(sql);
  await expect(ask('select * from holdfast.as_of(null::shop.loose, now())')).rejects.toMatchObject({ code: 'HF010' });
  await expect(ask('select * from holdfast.as_of(1, now())')).rejects.toMatchObject({ code: 'HF010' });
  await expect(ask("select * from holdfast.as_of(null::shop.docs, '2999-01-01')")).rejects.toMatchObject({
    code: 'HF011',
  });
  await expect(ask("select * from holdfast.as_of(null::shop.docs, '1999-01-01')")).rejects.toMatchObject({
    code: 'HF012',
  });
  await expect(ask("select * from holdfast.history('shop.docs', 'x')")).rejects.toMatchObject({ code: 'HF016' });
});

test('a moment that is not closed is refused where it cannot be closed', async () => {
  const sql = 'select * from holdfast.as_of(null::shop.docs, clock_timestamp())';
  await shop.client.query('begin read only');
  await expect(shop.client.query(sql)).rejects.toMatchObject({ code: 'HF013' });
  await shop.client.query('rollback');
  expect((await shop.client.query(sql)).rowCount).toBe(2);
});

test('an ordinary role sees the tenant that it has set, and no other', async () => {
  const role = `travel_${shop.database.name}`;
  await shop.client.query(`
    create role ${role}; grant usage on schema shop to ${role}; grant select on shop.docs to ${role};
    grant select on holdfast.trail, holdfast.actors, holdfast.tables, holdfast.table_versions to ${role}`);
  try {
    await shop.client.query(`set role ${role}`);
    const asOf = (tenant: string | null) =>
      shop.lines('select id, title from holdfast.as_of(null::shop.docs, $1, $2)', moment, tenant);
    await expect(asOf(null)).rejects.toMatchObject({ code: 'HF017' });
    await expect(asOf('a')).rejects.toMatchObject({ code: 'HF017' });
    await shop.client.query("set holdfast.tenant = 'a'");
    expect(await asOf(null)).toEqual(['(1,one)']);
    await expect(asOf('b')).rejects.toMatchObject({ code: 'HF017' });
    expect(await shop.lines('select record from holdfast.diff(null::shop.docs, $1)', moment)).toEqual(['(1)']);
    expect(await shop.lines("select * from holdfast.history('shop.docs', '2')")).toEqual([]);
    expect(await shop.lines("select * from holdfast.versions(null::shop.docs, '2')")).toEqual([]);
    expect(await shop.lines('select record from holdfast.activity(null)')).toEqual(['(1)', '(1)']);
    expect(await shop.lines("select sum(inserts), sum(updates) from holdfast.timeline('1 day')")).toEqual(['(1,1)']);
    await expect(shop.client.query('select holdfast.present()')).rejects.toMatchObject({ code: '42501' });
  } finally {
    await shop.client.query(`reset role; reset holdfast.tenant; drop owned by ${role}; drop role ${role}`);
  }
});

test("the owner's session is held to a tenant as well, once it has set one", async () => {
  await shop.client.query("set holdfast.tenant = 'b'");
  expect(await shop.lines('select id from holdfast.as_of(null::shop.docs, $1)', moment)).toEqual(['(2)']);
  await expect(state({ tenant: 'a' })).rejects.toMatchObject({ code: 'HF_TENANT_DENIED' });
  await shop.client.query('reset holdfast.tenant');
});
