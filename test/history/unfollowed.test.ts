/** Schema changes where the role that installed may not create event triggers: the application's writes go on. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type pg from 'pg';
import { bind } from '../../core/datamap/bind.ts';
import { install } from '../../core/history/install.ts';
import { maintain } from '../../core/history/maintain.ts';
import { beginMaintenance, endMaintenance } from '../../core/restore/requests/maintenance.ts';
import { connect } from '../../core/sql.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { SHOP, shopMap } from './support.ts';
import { readVersions } from './versions.ts';

let database: TestDatabase;
let admin: pg.Client;
let owner: pg.Client;
let app: pg.Client;
let seq = '0';

const login = async (role: string) => {
  await admin.query(`create role ${role}_${database.name} login password 'secret'`);
  const url = new URL(database.url);
  url.username = `${role}_${database.name}`;
  url.password = 'secret';
  return { role: url.username, url: url.href };
};

beforeAll(async () => {
  database = await createDatabase({ prefix: 'unfollowed' });
  admin = await database.client();
  const o = await login('owner');
  const a = await login('app');
  await admin.query(`grant create on database ${database.name} to ${o.role}`);
  owner = await connect(o.url);
  await owner.query(SHOP);
  await owner.query(
    "create table shop.scratch (id int primary key, tenant text, d text); insert into shop.docs values (1, 'a', 'one', 1)",
  );
  await owner.query(`grant usage on schema shop to ${a.role}`);
  await owner.query(`grant select, insert, update, delete, truncate on all tables in schema shop to ${a.role}`);
  const report = await install(owner, await bind(owner, shopMap));
  expect(report.followsDdl).toBe(false);
  expect(report.notes).toContainEqual(
    expect.stringMatching(/^This role may not create event triggers .*after each migration/),
  );
  app = await connect(a.url);
  await app.query("set datestyle = 'German'");
  await write(
    "update shop.docs set title = 'uno'",
    "insert into shop.lines values (1, 1, 'x')",
    "update shop.lines set txt = 'y'",
  );
});

afterAll(async () => {
  await app.end();
  await owner.end();
  await admin.query(`reassign owned by owner_${database.name} to current_user`);
  await admin.query(`drop owned by owner_${database.name}, app_${database.name}`);
  await admin.query(`drop role owner_${database.name}, app_${database.name}`);
  await database.drop();
});

/** Runs statements as the application and returns what they left in the trail. */
async function write(...statements: string[]): Promise<string[]> {
  for (const statement of statements) await app.query(statement);
  const { rows } = await owner.query(
    `select c.seq::text, t.id, c.action::text, c.record, c.organization, c.changes from holdfast.trail c
       join holdfast.tables t on t.id = c.table_id where c.seq > $1 order by c.seq`,
    [seq],
  );
  seq = rows.at(-1)?.seq ?? seq;
  return rows.map((r) =>
    [['', 'tenants', 'docs', 'lines'][r.id], r.action, r.record, r.organization, JSON.stringify(r.changes)].join(' '),
  );
}

const latest = async (id: number) => (await readVersions(owner, id)).at(-1)!;
const TENANTS = 1;
const DOCS = 2;
const LINES = 3;

test('a column is renamed, another dropped, others added: nothing fails, nothing is missed, history crosses', async () => {
  await owner.query('alter table shop.docs rename column title to heading');
  expect(await write("update shop.docs set heading = 'eins'")).toEqual(['docs U 1 a {"heading":["uno","eins"]}']);
  await owner.query('alter table shop.docs drop column amount');
  expect(await write("insert into shop.docs values (2, 'b', 'two')", 'delete from shop.docs where id = 2')).toEqual([
    'docs I 2 b {"id":"2","tenant":"b","heading":"two"}',
    'docs D 2 b {"id":"2","tenant":"b","heading":"two"}',
  ]);
  await owner.query("alter table shop.docs add column born date default '2001-02-03'");
  // The first row finds it out, the second is written by the new function under the settings of the old.
  expect(
    await write("insert into shop.docs values (2, 'b', 'two')", "update shop.docs set born = '2002-03-04'"),
  ).toEqual([
    'docs I 2 b {"id":"2","born":"2001-02-03","tenant":"b","heading":"two"}',
    'docs U 1 a {"born":["2001-02-03","2002-03-04"]}',
    'docs U 2 b {"born":["2001-02-03","2002-03-04"]}',
  ]);
  await owner.query('alter table shop.docs add column due date');
  expect(await write("update shop.docs set due = '2003-04-05'")).toEqual([
    'docs U 1 a {"due":[null,"2003-04-05"]}',
    'docs U 2 b {"due":[null,"2003-04-05"]}',
  ]);
  const versions = await readVersions(owner, DOCS);
  expect(versions.map((v) => v.columns.map((c) => c.name).join())).toEqual([
    'id,tenant,title,amount',
    'id,tenant,heading,amount',
    'id,tenant,heading',
    'id,tenant,heading,born',
    'id,tenant,heading,born,due',
  ]);
  expect(versions.filter((v) => v.barrier)).toEqual([]);
  expect((await owner.query('select * from holdfast.drift()')).rows).toEqual([]);
});

test('maintenance notes a change after which nobody has written', async () => {
  await owner.query('alter table shop.tenants add column label text');
  await maintain(owner);
  expect((await latest(TENANTS)).columns.map((c) => c.name)).toEqual(['id', 'label']);
  await maintain(owner);
  expect((await readVersions(owner, TENANTS)).length).toBe(2);
  expect(await write("update shop.tenants set label = 'A' where id = 'a'")).toEqual([
    'tenants U a a {"label":[null,"A"]}',
  ]);
});

test('the transaction that alters the table also writes it; rolled back, all is as before', async () => {
  const before = (await readVersions(owner, DOCS)).length;
  await owner.query("begin; update shop.docs set heading = 'x'; alter table shop.docs rename column heading to head");
  await owner.query("update shop.docs set head = 'y' where id = 1; rollback");
  expect(await write("update shop.docs set heading = 'z' where id = 1")).toEqual([
    'docs U 1 a {"heading":["eins","z"]}',
  ]);
  expect((await readVersions(owner, DOCS)).length).toBe(before);
});

test('a column of another type, or computed anew in the same type, is a barrier', async () => {
  await owner.query('alter table shop.lines alter column txt type varchar(9) using upper(txt)');
  expect(await write("update shop.lines set txt = 'w'")).toEqual(['lines U ["1", "1"] a {"txt":["Y","w"]}']);
  expect((await latest(LINES)).barrier).toBe('column txt was changed from text to character varying(9)');
  await owner.query('alter table shop.lines alter column n type int using n + 1');
  expect(await write("update shop.lines set txt = 'v'")).toEqual(['lines U ["1", "2"] a {"txt":["w","v"]}']);
  expect((await latest(LINES)).barrier).toMatch(/may have been computed anew/);
  const versions = (await readVersions(owner, LINES)).length;
  await owner.query('alter table shop.lines alter column n set statistics 200');
  expect(await write("update shop.lines set txt = 'u'")).toEqual(['lines U ["1", "2"] a {"txt":["v","u"]}']);
  expect((await readVersions(owner, LINES)).length).toBe(versions);
});

test('a key is renamed, retyped, replaced; tables below read it under its new name', async () => {
  await owner.query('alter table shop.docs rename column id to number');
  expect(
    await write("insert into shop.lines values (2, 1, 'x')", "update shop.docs set heading = 'q' where number = 1"),
  ).toEqual(['lines I ["2", "1"] b {"n":"1","doc":"2","txt":"x"}', 'docs U 1 a {"heading":["z","q"]}']);
  await owner.query(
    'alter table shop.docs alter column number type bigint; alter table shop.lines alter column doc type bigint',
  );
  expect(
    await write("update shop.lines set txt = 'y' where doc = 2", 'update shop.docs set number = 3 where number = 2'),
  ).toEqual([
    'lines U ["2", "1"] b {"txt":["x","y"]}',
    'docs D 2 b {"due":"2003-04-05","born":"2002-03-04","number":"2","tenant":"b","heading":"two"}',
    'docs I 3 b {"due":"2003-04-05","born":"2002-03-04","number":"3","tenant":"b","heading":"two"}',
    'lines D ["2", "1"] b {"n":"1","doc":"2","txt":"y"}',
    'lines I ["3", "1"] b {"n":"1","doc":"3","txt":"y"}',
  ]);
  await owner.query(
    'alter table shop.lines drop constraint lines_pkey; alter table shop.lines add column id int generated always as identity primary key',
  );
  expect(await write("update shop.lines set txt = 'z' where doc = 3")).toEqual(['lines U 2 b {"txt":["y","z"]}']);
  expect((await latest(LINES)).barrier).toBe('its key was changed');
});

test('tables and schema are renamed', async () => {
  await owner.query('alter table shop.docs rename to papers');
  expect(await write("update shop.lines set txt = 't' where doc = 3", 'delete from shop.lines where doc = 1')).toEqual([
    'lines U 2 b {"txt":["z","t"]}',
    'lines D 1 a {"n":"2","id":"1","doc":"1","txt":"u"}',
  ]);
  await owner.query('alter schema shop rename to store');
  expect(await write("update store.papers set tenant = 'a' where number = 3")).toEqual([
    'docs D 3 b {"due":"2003-04-05","born":"2002-03-04","number":"3","tenant":"b","heading":"two"}',
    'docs I 3 a {"due":"2003-04-05","born":"2002-03-04","number":"3","tenant":"a","heading":"two"}',
    'lines D 2 b {"n":"1","id":"2","doc":"3","txt":"t"}',
    'lines I 2 a {"n":"1","id":"2","doc":"3","txt":"t"}',
  ]);
  await owner.query('alter schema store rename to shop; alter table shop.papers rename to docs');
  expect((await write("update shop.docs set heading = 'p' where number = 3")).length).toBe(1);
});

test('several writers meet the new shape at once; one that cannot see it is told to run again', async () => {
  const others = await Promise.all(Array.from({ length: 4 }, () => database.client()));
  const old = await database.client();
  await old.query('begin isolation level repeatable read; select 1 from shop.tenants');
  await owner.query('alter table shop.docs drop column due');
  await expect(old.query("update shop.docs set heading = 'r' where number = 1")).rejects.toMatchObject({
    code: '40001',
  });
  await old.query('rollback');
  await Promise.all(
    others.map((c, i) =>
      c.query(
        `insert into shop.docs (number, tenant) select g, 'a' from generate_series(${100 + 10 * i}, ${105 + 10 * i}) g`,
      ),
    ),
  );
  expect((await write()).filter((c) => /^docs I \d+ a /.test(c)).length).toBe(24);
  expect(
    (await readVersions(owner, DOCS)).filter((v) => !v.columns.some((c) => c.name === 'due')).at(-1)!.barrier,
  ).toBeNull();
  await old.query("begin isolation level repeatable read; update shop.docs set heading = 'r' where number = 1; commit");
  expect((await write()).length).toBe(1);
});

test('the column that leads to the tenant is renamed while one is in maintenance: it stays shut, the others write on', async () => {
  await write(
    "insert into shop.docs (number, tenant) values (70, 'b')",
    'insert into shop.lines (id, doc, n) overriding system value values (50, 70, 1)',
  );
  await beginMaintenance(owner, { tenant: 'b', by: 'ann', reason: 'repairs', seconds: 60, wait: 0 });
  const shut = { code: 'HF003' };
  await expect(app.query("update shop.docs set heading = 'no' where number = 70")).rejects.toMatchObject(shut);
  await owner.query('alter table shop.docs rename column tenant to org');
  await expect(app.query("update shop.docs set heading = 'no' where number = 70")).rejects.toMatchObject(shut);
  await expect(app.query("insert into shop.docs (number, org) values (71, 'b')")).rejects.toMatchObject(shut);
  await expect(app.query('update shop.lines set n = 2 where doc = 70')).rejects.toMatchObject(shut);
  expect(await write("update shop.docs set heading = 'yes' where number = 1")).toEqual([
    'docs U 1 a {"heading":["r","yes"]}',
  ]);
  await expect(app.query("update shop.docs set heading = 'no' where number = 70")).rejects.toMatchObject(shut);
  await expect(app.query('delete from shop.docs where number = 70')).rejects.toMatchObject(shut);
  await endMaintenance(owner, 'b', 'ann');
  await owner.query('alter table shop.docs rename column org to tenant');
  expect(await write('delete from shop.lines where doc = 70', 'delete from shop.docs where number = 70')).toMatchObject(
    [expect.stringMatching(/^lines D 50 b/), expect.stringMatching(/^docs D 70 b/)],
  );
});

test('TRUNCATE logs the rows in their new shape', async () => {
  await owner.query('alter table shop.lines drop column n');
  expect(await write('truncate shop.lines')).toEqual(['lines D 2 a {"id":"2","doc":"3","txt":"t"}', 'lines T   null']);
});

test('a foreign key, the parent, the tenant column go: rows are captured without a tenant, and history names why', async () => {
  await owner.query('alter table shop.lines drop constraint lines_doc_fkey');
  expect(
    await write(
      "insert into shop.lines (doc, txt) values (77, 'orphan')",
      "insert into shop.docs (number, tenant) values (77, 'b')",
    ),
  ).toEqual([
    'lines I 3  {"id":"3","doc":"77","txt":"orphan"}',
    'docs I 77 b {"born":"2001-02-03","number":"77","tenant":"b","heading":null}',
    'lines D 3  {"id":"3","doc":"77","txt":"orphan"}',
    'lines I 3 b {"id":"3","doc":"77","txt":"orphan"}',
  ]);
  await owner.query('alter table shop.docs drop column tenant');
  expect(
    await write("update shop.docs set heading = 'o' where number = 77", "update shop.lines set txt = 'x'"),
  ).toEqual(['docs U 77  {"heading":[null,"o"]}', 'lines U 3  {"txt":["orphan","x"]}']);
  for (const id of [DOCS, LINES]) {
    expect((await latest(id)).barrier).toBe('what told the tenant of its rows was dropped');
  }
  await owner.query('drop table shop.docs cascade');
  expect(await write("update shop.lines set txt = 'y'")).toEqual(['lines U 3  {"txt":["x","y"]}']);
});
