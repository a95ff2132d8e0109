import { expect, test } from '@jest/globals';
import { bind } from '../../core/datamap/bind.ts';
import { install } from '../../core/history/install.ts';
import { maintain } from '../../core/history/maintain.ts';
import { uninstall } from '../../core/history/uninstall.ts';
import { connect } from '../../core/sql.ts';
import { createDatabase } from '../support/database.ts';
import { column, openShop, rule, SHOP, shopMap } from './support.ts';

const OBJECTS = `
  select 'schema ' || nspname as what from pg_namespace where nspname not like 'pg_%'
  union all select 'trigger ' || tgname || tgrelid::regclass from pg_trigger where not tgisinternal
  union all select 'event ' || evtname from pg_event_trigger
  union all select 'function ' || oid::regprocedure from pg_proc where pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
  union all select 'role ' || rolname from pg_roles where rolname not like 'pg_%' and rolname like '%holdfast%'
  order by 1`;

test('install twice is install once; uninstall leaves no trace', async () => {
  const database = await createDatabase();
  const client = await database.client();
  await client.query(SHOP);
  const before = (await client.query(OBJECTS)).rows;
  const first = await install(client, await bind(client, shopMap));
  expect(first).toMatchObject({
    added: ['shop.tenants', 'shop.docs', 'shop.lines'],
    removed: [],
    followsDdl: true,
    notes: [],
  });
  const again = await install(client, await bind(client, shopMap));
  expect(again).toMatchObject({ migrations: [], added: [], removed: [] });
  expect((await client.query('select * from holdfast.drift()')).rows).toEqual([]);
  await uninstall(client);
  expect((await client.query(OBJECTS)).rows).toEqual(before);
  await client.query("insert into shop.docs values (1, 'a')");
  await uninstall(client);
  await database.drop();
});

test('an owner without other rights can install, and is told what is missing', async () => {
  const database = await createDatabase();
  const admin = await database.client();
  const role = `owner_${database.name}`;
  await admin.query(
    `create role ${role} login password 'secret'; grant create on database ${database.name} to ${role}`,
  );
  await admin.query(SHOP);
  const url = new URL(database.url);
  url.username = role;
  url.password = 'secret';
  await admin.query(`grant usage on schema shop to ${role}; grant select on all tables in schema shop to ${role}`);
  const client = await connect(url.href);
  await expect(install(client, await bind(client, shopMap))).rejects.toMatchObject({
    code: 'HF_RIGHTS_MISSING',
    details: { missing: expect.arrayContaining(['ownership of shop.docs']) },
  });
  for (const t of ['tenants', 'docs', 'lines']) await admin.query(`alter table shop.${t} owner to ${role}`);
  const report = await install(client, await bind(client, shopMap));
  expect(report.followsDdl).toBe(false);
  expect(report.notes.join()).toMatch(/event triggers/);
  await client.query("insert into shop.docs values (1, 'a', 'x')");
  await client.query("update shop.docs set title = 'y'");
  expect((await client.query('select count(*)::int as n from holdfast.trail')).rows[0].n).toBe(2);
  await maintain(client);
  // Without the event trigger the new column is found, and the next install follows it.
  await client.query('alter table shop.docs add column extra text');
  expect((await client.query('select problem from holdfast.drift()')).rows[0].problem).toMatch(/columns/);
  await install(client, await bind(client, shopMap));
  await client.query("update shop.docs set extra = 'z'");
  expect((await client.query('select changes from holdfast.trail order by seq desc limit 1')).rows[0].changes).toEqual({
    extra: [null, 'z'],
  });
  await uninstall(client);
  await client.end();
  await admin.query(`reassign owned by ${role} to current_user; drop owned by ${role}`);
  await database.drop();
});

test('a locked table is waited for no longer than allowed, and nothing is changed', async () => {
  const database = await createDatabase();
  const client = await database.client();
  await client.query(SHOP);
  const bound = await bind(client, shopMap);
  const writer = await database.client();
  await writer.query("begin; insert into shop.docs values (1, 'a')");
  await expect(install(client, bound, { lockTimeout: 100 })).rejects.toMatchObject({ code: 'HF_LOCK_TIMEOUT' });
  expect((await client.query("select to_regnamespace('holdfast') as n")).rows[0].n).toBeNull();
  await writer.query('commit');
  await install(client, bound);
  await database.drop();
});

test('a table left out of the map is released, its history stays', async () => {
  const shop = await openShop();
  await shop.client.query("insert into shop.docs values (1, 'a'); insert into shop.lines values (1, 1, 'x')");
  const smaller = { ...shopMap, tables: [rule('shop.tenants', column('id')), rule('shop.docs', column('tenant'))] };
  expect((await install(shop.client, await bind(shop.client, smaller))).removed).toEqual(['shop.lines']);
  await shop.changes();
  await shop.client.query("update shop.lines set txt = 'y'; update shop.docs set title = 'y'");
  expect(await shop.changes()).toEqual(['docs U 1 a {"title":[null,"y"]}']);
  expect(
    (await shop.client.query("select count(*)::int as n from holdfast.audit_trail where table_name = 'shop.lines'"))
      .rows[0].n,
  ).toBe(1);
  await shop.database.drop();
});
