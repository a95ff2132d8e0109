import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type pg from 'pg';
import { bind } from '../../core/datamap/bind.ts';
import { parseMap } from '../../core/datamap/parse.ts';
import { reachSql, tableNamed, tenantPredicate } from '../../core/datamap/reach.ts';
import { tableSql } from '../../core/sql.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const SCHEMA = `
  create schema shop;
  create table shop."Mandanten" ("Nr" bigint primary key, "Größe" text);
  create table shop.kunde (id uuid primary key default gen_random_uuid(), "mandantNr" bigint not null references shop."Mandanten",
    gone int, mail text, unique (id, "mandantNr"));
  alter table shop.kunde drop column gone;
  create table shop.auftrag (kunde_id uuid references shop.kunde, nr int, was text, primary key (kunde_id, nr))
    partition by range (nr);
  create table shop.auftrag_1 partition of shop.auftrag for values from (0) to (100);
  create table shop.position (id serial primary key, kunde_id uuid, nr int, foreign key (kunde_id, nr) references shop.auftrag);
  create table shop.lose (id int primary key, pos_nr int);
  create table public.kunde (id int primary key, land text);
  insert into shop."Mandanten" values (1, 'a'), (2, 'b');
  insert into shop.kunde ("mandantNr", mail) values (1, 'x@a'), (1, 'y@a'), (2, 'z@b');
  insert into shop.auftrag select id, 7, 'w' from shop.kunde;
  insert into shop.position (kunde_id, nr) select id, 7 from shop.kunde;
  insert into shop.position (kunde_id, nr) values (null, null);
  insert into shop.lose values (10, 1), (11, 999);
  insert into public.kunde values (1, 'CH');`;

const MAP = `
version: 1
tenant: shop."Mandanten"(Nr)
person: shop.kunde(id)
tables:
  shop."Mandanten": {tenant: Nr, columns: {internal: [Nr], none: [Größe]}}
  shop.kunde: {tenant: mandantNr, person: id, columns: {internal: [id, mandantNr], personal: [mail]}}
  shop.auftrag: {tenant: via kunde_id, person: kunde_id, columns: {internal: [kunde_id, nr], sensitive: [was]}}
  shop.position:
    tenant: via kunde_id, nr -> shop.auftrag(kunde_id, nr)
    person: kunde_id
  shop.lose: {tenant: via pos_nr -> shop.position(id)}
  kunde: {shared: true, columns: {none: [id, land]}}
`;

let database: TestDatabase;
let client: pg.Client;
beforeAll(async () => {
  database = await createDatabase();
  client = await database.client();
  await client.query(SCHEMA);
});
afterAll(() => database.drop());

async function tenantsOf(table: string, map = MAP) {
  const bound = await bind(client, parseMap(map));
  const at = tableNamed(bound, table);
  const { expression, joins } = reachSql(bound, at, 'tenant', 't');
  const { rows } = await client.query(`select ${expression} as tenant from ${tableSql(table)} t ${joins} order by 1`);
  return rows.map((row) => row.tenant);
}

test('binds keys, columns and paths of several hops', async () => {
  const bound = await bind(client, parseMap(MAP));
  expect(tableNamed(bound, 'shop.auftrag')).toMatchObject({
    id: 0,
    partitioned: true,
    key: ['kunde_id', 'nr'],
    tenant: { kind: 'via', columns: ['kunde_id'], parent: 'shop.kunde', parentColumns: ['id'] },
  });
  const customer = tableNamed(bound, 'shop.kunde');
  expect(customer.columns.map((c) => [c.attnum, c.name])).toEqual([
    [1, 'id'],
    [2, 'mandantNr'],
    [4, 'mail'],
  ]);
  expect(bound.tables.map((t) => t.name)).toContain('public.kunde');
});

test('reads each row with its tenant; rows without one stay', async () => {
  expect(await tenantsOf('shop.kunde')).toEqual(['1', '1', '2']);
  expect(await tenantsOf('shop.auftrag')).toEqual(['1', '1', '2']);
  expect(await tenantsOf('shop.position')).toEqual(['1', '1', '2', null]);
  expect(await tenantsOf('shop.lose')).toEqual(['1', null]);
  expect(await tenantsOf('public.kunde')).toEqual([null]);
});

test('tenantPredicate agrees with reachSql, for one tenant and for several, as parameter and as literal', async () => {
  const bound = await bind(client, parseMap(MAP));
  for (const table of bound.tables) {
    const { expression, joins } = reachSql(bound, table, 'tenant', 't');
    const from = `from ${tableSql(table.name)} t`;
    const count = async (sql: string, values: unknown[] = []) =>
      Number((await client.query(`select count(*) as n ${sql}`, values)).rows[0].n);
    const expected = await count(`${from} ${joins} where ${expression} = '1'`);
    expect(await count(`${from} where ${tenantPredicate(bound, table, 't', "'1'")}`)).toBe(expected);
    if (!table.tenant) continue;
    expect(await count(`${from} where ${tenantPredicate(bound, table, 't', '$1')}`, ['1'])).toBe(expected);
    const both = tenantPredicate(bound, table, 't', '$1', { many: true });
    expect(await count(`${from} where ${both}`, [['1', '2']])).toBe(
      await count(`${from} ${joins} where ${expression} in ('1', '2')`),
    );
  }
});

test('tenantPredicate uses the index on the tenant column', async () => {
  await client.query('create index kunde_mandant on shop.kunde ("mandantNr")');
  const bound = await bind(client, parseMap(MAP));
  const where = tenantPredicate(bound, tableNamed(bound, 'shop.kunde'), 't', "'1'");
  await client.query('set enable_seqscan = off');
  const plan = await client.query(`explain select * from shop.kunde t where ${where}`);
  await client.query('reset enable_seqscan');
  expect(JSON.stringify(plan.rows)).toMatch(/Index Cond: \(.*mandantNr.* = '1'::bigint\)/);
});

test('keys of types from extensions compare as the foreign key does', async () => {
  await client.query('create schema ext; create extension citext schema ext');
  await client.query(`
    create table shop.club (handle ext.citext primary key);
    create table shop.gast (id int primary key, club ext.citext not null references shop.club);
    create table shop.besuch (id int primary key, gast int references shop.gast, club ext.citext references shop.club);
    insert into shop.club values ('Alpha'), ('Beta');
    insert into shop.gast values (1, 'ALPHA'), (2, 'beta');
    insert into shop.besuch values (1, 1, 'alpha'), (2, 2, null)`);
  const map = `version: 1\ntenant: shop.club(handle)\ntables:
  shop.club: {tenant: handle}
  shop.gast: {tenant: via club}
  shop.besuch: {tenant: via gast}\n`;
  expect(await tenantsOf('shop.gast', map)).toEqual(['Alpha', 'Beta']);
  const bound = await bind(client, parseMap(map));
  for (const name of ['shop.club', 'shop.gast', 'shop.besuch']) {
    for (const [param, many] of [
      ["'aLPHA'", false],
      ["'{aLPHA}'", true],
    ] as const) {
      const where = tenantPredicate(bound, tableNamed(bound, name), 't', param, { many });
      expect((await client.query(`select from ${name} t where ${where}`)).rowCount).toBe(1);
    }
  }
});

test('an unclassed column is treated as personal, one that locates rows as internal', async () => {
  const bound = await bind(client, parseMap(MAP));
  const rules = tableNamed(bound, 'shop.position').columns.map((c) => [c.name, c.rule.class, c.rule.sealed]);
  expect(rules).toEqual([
    ['id', 'internal', false],
    ['kunde_id', 'internal', false],
    ['nr', 'internal', false],
  ]);
  expect(tableNamed(bound, 'shop.lose').columns.map((c) => c.rule.class)).toEqual(['internal', 'internal']);
  const { columns } = tableNamed(await bind(client, parseMap(MAP.replace(', none: [Größe]', ''))), 'shop."Mandanten"');
  expect(columns[1]!.rule).toEqual({ class: 'personal', sealed: true });
});

const refusals: [string, string, string, string, string][] = [
  ['a table that is not there', 'shop.lose:', 'shop.loses:', 'HF_TABLE_UNKNOWN', 'Did you mean shop.lose?'],
  ['a partition', 'shop.auftrag:', 'shop.auftrag_1:', 'HF_TABLE_UNKNOWN', 'shop.auftrag_1'],
  ['a column that is not there', '[mail]', '[email]', 'HF_COLUMN_UNKNOWN', 'Did you mean mail?'],
  [
    'a tenant column that is not there',
    'tenant: mandantNr',
    'tenant: mandant_nr',
    'HF_COLUMN_UNKNOWN',
    'Did you mean mandantNr?',
  ],
  [
    'a tenant table that is not there',
    'tenant: shop."Mandanten"',
    'tenant: shop.mandanten',
    'HF_TABLE_UNKNOWN',
    'Did you mean shop."Mandanten"?',
  ],
  ['a tenant key that is not there', '(Nr)', '(nr)', 'HF_COLUMN_UNKNOWN', 'Did you mean Nr?'],
  [
    'a path without a foreign key',
    'via pos_nr -> shop.position(id)',
    'via pos_nr',
    'HF_REACH_INVALID',
    'Write the target out',
  ],
  ['a path to what is not unique', 'shop.position(id)', 'shop.position(nr)', 'HF_REACH_INVALID', '(id)'],
  [
    'a path to a shared table',
    'shop.position(id)',
    'public.kunde(id)',
    'HF_REACH_INVALID',
    'Give public.kunde a "tenant:"',
  ],
  ['a path to nowhere', 'shop.position(id)', 'shop.nowhere(id)', 'HF_REACH_INVALID', 'Correct the path'],
  ['a circle', 'shop.position(id)', 'shop.lose(id)', 'HF_REACH_INVALID', 'Let one table of the circle'],
];

test.each(refusals)('refuses %s', async (_, good, bad, code, action) => {
  expect(MAP).toContain(good);
  await expect(bind(client, parseMap(MAP.replace(good, bad)))).rejects.toMatchObject({
    code,
    action: expect.stringContaining(action),
  });
});
