import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { bind } from '../../core/datamap/bind.ts';
import { Crossing } from '../../core/restore/crossing.ts';
import { openShop, type Shop, shopMap } from './support.ts';
import { readVersions } from './versions.ts';

let shop: Shop;
let docs: number;
beforeAll(async () => {
  shop = await openShop();
  docs = (await shop.client.query("select id from holdfast.tables where name = 'shop.docs'")).rows[0].id;
  await shop.client.query("insert into shop.docs values (1, 'a', 'one', 1)");
  await shop.changes();
});
afterAll(() => shop.database.drop());

const latest = async () => (await readVersions(shop.client, docs)).at(-1)!;
const loadCrossing = async () => Crossing.load(shop.client, (await bind(shop.client, shopMap)).tables);
const alter = (statement: string) => shop.client.query(`alter table ${statement}`);

test('columns are renamed, added with a constant, dropped: history crosses', async () => {
  await alter('shop.docs rename column title to heading');
  await alter("shop.docs add column state text not null default 'draft'");
  await alter('shop.docs add column note text');
  await alter('shop.docs drop column amount');
  await shop.client.query("update shop.docs set heading = 'uno', state = 'final'");
  expect(await shop.changes()).toEqual(['docs U 1 a {"state":["draft","final"],"heading":["one","uno"]}']);
  const crossing = await loadCrossing();
  const names = ['id', 'tenant', 'title', 'amount'].map((name) => crossing.nameNow(docs, 1, name));
  expect(names).toEqual(['id', 'tenant', 'heading', undefined]);
  expect(crossing.missing(docs, 1)).toEqual({ state: 'draft', note: null });
  expect(() => crossing.checkFrom(docs, 1, 'ignore')).not.toThrow();
  expect(() => crossing.checkFrom(docs, 1, 'refuse')).toThrow(
    expect.objectContaining({ code: 'HF_SCHEMA_CHANGED', details: expect.objectContaining({ columns: ['amount'] }) }),
  );
});

test('the table, its schema and its parent are renamed', async () => {
  await alter('shop.docs rename to papers');
  await alter('shop.papers rename column id to number');
  await shop.client.query("insert into shop.lines values (1, 1, 'x')");
  expect(await shop.changes()).toEqual(['lines I ["1", "1"] a {"n":"1","doc":"1","txt":"x"}']);
  await alter('shop.papers rename column number to id');
  await alter('shop.papers rename to docs');
  expect((await shop.client.query('select * from holdfast.drift()')).rows).toEqual([]);
});

test('widening crosses; anything that may compute values does not, and says so', async () => {
  await alter('shop.lines alter column n type bigint');
  const lines = (await shop.client.query("select id from holdfast.tables where name = 'shop.lines'")).rows[0].id;
  expect((await readVersions(shop.client, lines)).at(-1)!.barrier).toBeNull();
  await alter('shop.lines alter column n type bigint using n + 1');
  expect((await readVersions(shop.client, lines)).at(-1)!.barrier).toMatch(/computed anew/);
  await alter('shop.docs alter column heading type varchar(40) using upper(heading)');
  expect((await latest()).barrier).toBe('column heading was changed from text to character varying(40)');
  await alter('shop.docs add column token uuid not null default gen_random_uuid()');
  expect((await latest()).barrier).toBe('column token was added with a value of its own in each row');
  const crossing = await loadCrossing();
  expect(() => crossing.checkFrom(docs, 1, 'ignore')).toThrow(
    expect.objectContaining({ code: 'HF_SCHEMA_CHANGED', details: expect.objectContaining({ table: 'shop.docs' }) }),
  );
});

test('a dropped table keeps its history and does not stop anything', async () => {
  await shop.client.query('drop table shop.lines');
  expect(
    (
      await shop.client.query(
        "select oid, dropped_at is not null as dropped from holdfast.tables where name = 'shop.lines'",
      )
    ).rows,
  ).toEqual([{ oid: null, dropped: true }]);
  await shop.client.query("update shop.docs set heading = 'x'");
  expect((await shop.changes()).length).toBe(1);
});

test('a table whose tenant column is dropped is still written and captured, and history says why it ends', async () => {
  const other = await openShop();
  await other.client.query("insert into shop.docs values (1, 'a'); insert into shop.lines values (1, 1, 'x')");
  await other.changes();
  await other.client.query('alter table shop.docs drop column tenant');
  await other.client.query("update shop.docs set title = 'x'; update shop.lines set txt = 'y'");
  expect(await other.changes()).toEqual(['docs U 1 {"title":[null,"x"]}', 'lines U ["1", "1"] {"txt":["x","y"]}']);
  await other.client.query('drop table shop.docs cascade');
  await other.client.query("update shop.lines set txt = 'z'");
  expect(await other.changes()).toEqual(['lines U ["1", "1"] {"txt":["y","z"]}']);
  const { rows } = await other.client.query(
    `select t.name, v.barrier from holdfast.table_versions v join holdfast.tables t on t.id = v.table_id
      where v.barrier is not null order by t.name desc, v.from_seq`,
  );
  expect(rows.map((r) => `${r.name}: ${r.barrier}`)).toEqual([
    'shop.lines: what told the tenant of its rows was dropped',
    'shop.docs: what told the tenant of its rows was dropped',
    'shop.docs: the table was dropped',
  ]);
  await other.database.drop();
});

test('a new partition is captured, TRUNCATE included; one attached with rows is a barrier', async () => {
  await shop.client.query(`
    create table shop.log (id int, day int, tenant text, primary key (id, day)) partition by range (day);
    create table shop.log_0 partition of shop.log for values from (0) to (10);`);
  const { bind } = await import('../../core/datamap/bind.ts');
  const { install } = await import('../../core/history/install.ts');
  const { column, rule } = await import('./support.ts');
  const map = {
    tenants: { table: 'shop.tenants', key: 'id' },
    tables: [
      rule('shop.tenants', column('id')),
      rule('shop.docs', column('tenant')),
      rule('shop.log', column('tenant')),
    ],
    excluded: [],
  };
  await install(shop.client, await bind(shop.client, map));
  const log = (await shop.client.query("select id from holdfast.tables where name = 'shop.log'")).rows[0].id;
  await shop.client.query('create table shop.log_1 partition of shop.log for values from (10) to (20)');
  await shop.client.query(
    "set session_replication_role = 'replica'; insert into shop.log values (1, 11, 'a'); reset session_replication_role",
  );
  await shop.client.query('truncate shop.log_1');
  expect((await shop.changes()).slice(-3).map((c) => c.split(' {')[0])).toEqual([
    'log I ["1", "11"] a',
    'log D ["1", "11"] a',
    'log T',
  ]);
  expect((await readVersions(shop.client, log)).at(-1)!.barrier).toBeNull();
  await shop.client.query("create table shop.log_2 (like shop.log); insert into shop.log_2 values (1, 21, 'a')");
  await shop.client.query('alter table shop.log attach partition shop.log_2 for values from (20) to (30)');
  expect((await readVersions(shop.client, log)).at(-1)!.barrier).toBe(
    'partition shop.log_2 was attached with rows in it',
  );
});
