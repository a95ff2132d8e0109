import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { withActor } from '../../core/history/actor.ts';
import { openShop, type Shop } from './support.ts';

let shop: Shop;
beforeAll(async () => {
  shop = await openShop();
});
afterAll(() => shop.database.drop());

const run = async (...statements: string[]) => {
  for (const statement of statements) await shop.client.query(statement);
  return shop.changes();
};

test('whole rows for inserts and deletes, deltas for updates, nothing for an update that changes nothing', async () => {
  expect(await run("insert into shop.docs values (1, 'a', 'one', 1.0)")).toEqual([
    'docs I 1 a {"id":"1","title":"one","amount":"1.0","tenant":"a"}',
  ]);
  expect(await run('update shop.docs set amount = 1.00 where id = 1')).toEqual([
    'docs U 1 a {"amount":["1.0","1.00"]}',
  ]);
  expect(await run('update shop.docs set title = title, amount = null where id = 1')).toEqual([
    'docs U 1 a {"amount":["1.00",null]}',
  ]);
  expect(await run('update shop.docs set title = title')).toEqual([]);
  expect(await run('begin', "update shop.docs set title = 'gone'", 'rollback')).toEqual([]);
  expect(await run('delete from shop.docs')).toEqual([
    'docs D 1 a {"id":"1","title":"one","amount":null,"tenant":"a"}',
  ]);
});

test('a change of key or of tenant is a delete there and an insert here', async () => {
  await run("insert into shop.docs values (2, 'a', 'two')", "insert into shop.lines values (2, 1, 'x')");
  expect((await run('update shop.docs set id = 3')).map((c) => c.split(' {')[0])).toEqual([
    'docs D 2 a',
    'docs I 3 a',
    'lines D ["2", "1"] a',
    'lines I ["3", "1"] a',
  ]);
  // The line moves with its document, although nobody touched it.
  expect((await run("update shop.docs set tenant = 'b'")).map((c) => c.split(' {')[0])).toEqual([
    'docs D 3 a',
    'docs I 3 b',
    'lines D ["3", "1"] a',
    'lines I ["3", "1"] b',
  ]);
  const { rows } = await shop.client.query('select metadata from holdfast.trail order by seq desc limit 2');
  expect(rows[0].metadata).toEqual({ moved: true, follows: true, from: { organization: 'a', record: '["3", "1"]' } });
});

test('a cascade finds the tenant of rows whose parent is gone', async () => {
  expect((await run('delete from shop.docs')).map((c) => c.split(' {')[0])).toEqual([
    'docs D 3 b',
    'lines D ["3", "1"] b',
  ]);
});

test('where cascades meet, a row deleted before its parent is logged waits for the tenant', async () => {
  // Keys cascade in the order in which they were made: the lines go first.
  await run(
    'create table shop.roots (id int primary key)',
    'alter table shop.lines add column root int references shop.roots on delete cascade',
    'alter table shop.docs add column root int references shop.roots on delete cascade',
    'insert into shop.roots values (1)',
    "insert into shop.docs (id, tenant, root) values (30, 'a', 1), (31, 'b', 1)",
    'insert into shop.lines (doc, n, root) values (30, 1, 1), (31, 1, 1), (31, 2, 1)',
  );
  expect((await run('delete from shop.roots')).map((c) => c.split(' {')[0])).toEqual([
    'lines D ["30", "1"] a',
    'lines D ["31", "1"] b',
    'lines D ["31", "2"] b',
    'docs D 30 a',
    'docs D 31 b',
  ]);
  const { rows } = await shop.client.query(
    "select (select count(*)::int from holdfast.waiting) as waiting, (select count(*)::int from holdfast.trail where metadata ? 'awaits') as awaiting",
  );
  expect(rows[0]).toEqual({ waiting: 0, awaiting: 0 });
  await run(
    'alter table shop.lines drop column root',
    'alter table shop.docs drop column root',
    'drop table shop.roots',
  );
});

test('TRUNCATE logs each row and itself, and is refused where rows may be invisible', async () => {
  await run("insert into shop.docs values (4, 'a'), (5, 'b')", "insert into shop.lines values (4, 1, 'x')");
  expect((await run('truncate shop.docs cascade')).map((c) => c.split(' {')[0])).toEqual([
    'docs D 4 a',
    'docs D 5 b',
    'docs T',
    'lines D ["4", "1"] a',
    'lines T',
  ]);
  await shop.client.query('begin isolation level repeatable read');
  await expect(shop.client.query('truncate shop.docs cascade')).rejects.toThrow(/needs READ COMMITTED/);
  await shop.client.query('rollback');
});

test('session_replication_role does not silence it', async () => {
  const changes = await run(
    "set session_replication_role = 'replica'",
    "insert into shop.docs values (6, 'a')",
    "insert into shop.lines values (77, 1, 'no parent yet')",
    "insert into shop.docs values (77, 'b')",
    'reset session_replication_role',
  );
  expect(changes.map((c) => c.split(' {')[0])).toEqual([
    'docs I 6 a',
    'lines I ["77", "1"]',
    'docs I 77 b',
    'lines D ["77", "1"]',
    'lines I ["77", "1"] b',
  ]);
});

test('the actor is that of the transaction and of no other', async () => {
  const actor = { userId: 'u1', email: 'u1@example.org', sessionId: 's', ip: '10.0.0.1', userAgent: 'test' };
  await withActor(shop.client, actor, () => shop.client.query("update shop.docs set title = 'by u1' where id = 6"));
  await shop.client.query("update shop.docs set title = 'by nobody' where id = 6");
  const { rows } = await shop.client.query(
    `select user_id, user_email, session_id, ip_address::text, user_agent, context_missing
       from holdfast.audit_trail where record_id = '6' and action = 'update' order by seq`,
  );
  expect(rows[0]).toEqual({
    user_id: 'u1',
    user_email: 'u1@example.org',
    session_id: 's',
    ip_address: '10.0.0.1/32',
    user_agent: 'test',
    context_missing: false,
  });
  expect(rows[1]).toMatchObject({ user_id: null, user_email: null, context_missing: true });
});

test('the fence of a restore refuses changes to other tenants', async () => {
  await shop.client.query("begin; select set_config('holdfast.guard_tenant', 'a', true)");
  await shop.client.query("update shop.docs set title = 'mine' where id = 6");
  await expect(shop.client.query("update shop.docs set title = 'theirs' where id = 77")).rejects.toMatchObject({
    code: 'HF001',
  });
  await shop.client.query('rollback');
});

test('a role sees its tenant only, whatever it was granted', async () => {
  await shop.client.query(`
    create role reader_${shop.database.name};
    grant select on holdfast.audit_trail, holdfast.trail, holdfast.tables, holdfast.actors to reader_${shop.database.name}`);
  const seen = async (tenant: string) => {
    await shop.client.query(`begin; set local role reader_${shop.database.name}`);
    await shop.client.query("select set_config('holdfast.tenant', $1, true)", [tenant]);
    const { rows } = await shop.client.query('select distinct organization from holdfast.audit_trail');
    await shop.client.query('rollback');
    return rows.map((r) => r.organization);
  };
  expect(await seen('a')).toEqual(['a']);
  expect(await seen('b')).toEqual(['b']);
  expect(await seen('')).toEqual([]);
  await shop.client.query(`drop owned by reader_${shop.database.name}; drop role reader_${shop.database.name}`);
});

test('a row below a parent that is not there gets the error that PostgreSQL itself gives', async () => {
  await expect(shop.client.query("insert into shop.lines values (999, 1, 'x')")).rejects.toMatchObject({
    code: '23503',
    message: 'insert or update on table "lines" violates foreign key constraint "lines_doc_fkey"',
    detail: 'Key (doc)=(999) is not present in table "docs".',
    schema: 'shop',
    table: 'lines',
    constraint: 'lines_doc_fkey',
  });
});

test('a tuple is told to be of this transaction, of its savepoints, of another, or frozen long ago', async () => {
  await run("insert into shop.docs values (20, 'a', 'before')");
  await shop.client.query(
    "begin; insert into shop.docs values (21, 'a'); savepoint s; insert into shop.docs values (22, 'a')",
  );
  const other = await shop.database.client();
  await other.query("insert into shop.docs values (23, 'a')");
  const { rows } = await shop.client.query(
    'select id, holdfast.is_own(xmin) as own from shop.docs where id between 20 and 23 order by id',
  );
  expect(rows).toEqual([
    { id: 20, own: false },
    { id: 21, own: true },
    { id: 22, own: true },
    { id: 23, own: false },
  ]);
  // What a row frozen 2^31 + 1000 transactions ago shows as its xmin, and one of just now minus one.
  const far = await shop.client.query(
    `select holdfast.is_own(((txid_current() + d) % 4294967296)::text::xid) as own
       from unnest(array[2147483648 - 1000, 2147483648, 4294967295, 1000000]) d`,
  );
  expect(far.rows.map((r) => r.own)).toEqual([false, false, false, false]);
  await shop.client.query('rollback');
});
