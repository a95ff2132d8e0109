import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type pg from 'pg';
import { Random } from '../../bench/prove/suite.ts';
import { hostileSettings, SETUP, TYPES, type TypeCase } from '../../bench/prove/types/values.ts';
import { bind } from '../../core/datamap/bind.ts';
import { install } from '../../core/history/install.ts';
import { stateAsOf } from '../../core/history/travel/stateAsOf.ts';
import { ident } from '../../core/sql.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { all } from './support.ts';

const ROWS = 12;
let database: TestDatabase;
let admin: pg.Client;
let types: readonly TypeCase[];
let moments: string[];

/** Copies of the table, `was0` and so on, hold what it was at each moment: nothing of Holdfast made them. */
beforeAll(async () => {
  database = await createDatabase({ prefix: 'types' });
  admin = await database.client();
  await admin.query('set search_path = public');
  const there = new Set<string>();
  for (const extension of new Set(TYPES.map((t) => t.extension))) {
    if (!extension) continue;
    const made = await admin.query(`create extension ${ident(extension)}`).then(
      () => true,
      () => false, // not shipped with this server
    );
    if (made) there.add(extension);
  }
  for (const statement of SETUP) await admin.query(statement);
  types = TYPES.filter((t) => !t.extension || there.has(t.extension));
  await admin.query(
    `create table t (id int primary key, tenant int not null, ${types.map((t, i) => `c${i} ${t.type}`).join(', ')})`,
  );
  const rule = {
    name: 'public.t',
    tenant: { kind: 'column', column: 'tenant' } as const,
    columns: {},
    erase: 'delete' as const,
  };
  await install(admin, await bind(admin, { tenants: { table: 'public.t', key: 'id' }, tables: [rule], excluded: [] }));

  const writer = await database.client();
  await hostile(writer, 1);
  await writer.query('set search_path = public');
  moments = [];
  const note = async () => {
    await admin.query(`create table was${moments.length} as table t`);
    moments.push((await admin.query('select clock_timestamp()::text as now')).rows[0].now);
  };
  const value = (t: TypeCase, n: number) => `${t.values[n % t.values.length]}::${t.type}`;
  for (let id = 0; id < ROWS; id++) {
    await writer.query(
      `insert into t values (${id}, 7, ${types.map((t, i) => ((id + i) % 7 === 6 ? 'null' : value(t, id))).join(', ')})`,
    );
  }
  await note();
  for (let id = 0; id < ROWS; id += 2) {
    await writer.query(
      `update t set ${types.map((t, i) => `c${i} = ${(id + i) % 5 === 4 ? 'null' : value(t, id + 1)}`).join(', ')} where id = ${id}`,
    );
  }
  await note();
  await writer.query('delete from t where id % 3 = 0');
  await note();
  await writer.query(`update t set ${types.map((t, i) => `c${i} = ${value(t, 2)}`).join(', ')} where id % 3 = 1`);
});
afterAll(() => database.drop());

async function hostile(client: pg.Client, seed: number): Promise<void> {
  for (const [name, value] of Object.entries(hostileSettings(new Random(seed)))) {
    await client.query('select set_config($1, $2, false)', [name, value]);
  }
}

/** Columns whose bytes differ, or rows that one side lacks. */
async function unlike(client: pg.Client, source: string, copy: string, values: unknown[]): Promise<string[]> {
  await client.query('set search_path = public');
  const { rows } = await client.query(
    `select coalesce(a.id, b.id) as id, a.id is null as missing, b.id is null as extra,
            array_remove(array[${types.map((t, i) => `case when row(a.c${i})::record operator(pg_catalog.*<>) row(b.c${i})::record then '${t.type.replaceAll("'", "''")}' end`).join(', ')}], null) as columns
       from ${source} a full join ${copy} b on a.id = b.id`,
    values,
  );
  return rows
    .filter((r) => r.missing || r.extra || r.columns.length > 0)
    .map((r) => `${r.id}: ${r.missing} ${r.extra} ${r.columns}`);
}

test('every value of every type comes back, byte for byte, in a session with any settings', async () => {
  expect(types.length).toBeGreaterThan(80);
  const reader = await database.client();
  for (const [n, moment] of moments.entries()) {
    await hostile(reader, 100 + n);
    const at = [moment];
    expect(await unlike(reader, 'holdfast.as_of(null::t, $1::timestamptz)', `was${n}`, at)).toEqual([]);
    expect(await unlike(reader, "holdfast.as_of(null::t, $1::timestamptz, '7')", `was${n}`, at)).toEqual([]);
  }
});

test('in differences and versions too', async () => {
  const reader = await database.client();
  await hostile(reader, 7);
  const [first, , last] = moments;
  const before = `(select (d.before).* from holdfast.diff(null::t, $1::timestamptz, $2::timestamptz) d where d.action <> 'insert')`;
  const changed = `(select * from was0 where id % 3 = 0 or id % 2 = 0)`;
  expect(await unlike(reader, before, changed, [first, last])).toEqual([]);
  const versions = `(select (v.version).* from generate_series(0, ${ROWS - 1}) i, holdfast.versions(null::t, i::text) v where v.action = 'insert')`;
  expect(await unlike(reader, versions, 'was0', [])).toEqual([]);
});

test('Holdfast itself reads them as the texts that their types print', async () => {
  const { rows } = await admin.query({
    text: 'select * from was1 order by id',
    types: { getTypeParser: () => (text: string) => text } as never,
  });
  const moment = (
    await admin.query(`select to_char($1::timestamptz at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`, [
      moments[1],
    ])
  ).rows[0].at;
  await admin.query('set search_path = pg_catalog');
  const printed = await admin.query({
    text: 'select * from public.was1 order by id',
    types: { getTypeParser: () => (text: string) => text } as never,
  });
  const state = await stateAsOf(admin, { table: 't', at: { moment }, limit: ROWS });
  expect(await all(state.rows)).toEqual(printed.rows);
  expect(rows.length).toBe(ROWS);
});
