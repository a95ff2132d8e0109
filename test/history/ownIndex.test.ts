/**
 * Where one tenant's, user's or record's changes since a moment are asked for, their own index finds them. The index on xid looks
 * better to the planner, whose statistics are of before, and would read what everyone has written since it was summarised.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type pg from 'pg';
import { bind } from '../../core/datamap/bind.ts';
import type { BoundMap } from '../../core/datamap/types.ts';
import { advance } from '../../core/history/advance.ts';
import { readChanges } from '../../core/history/changes.ts';
import { resolveCut } from '../../core/history/cuts.ts';
import type { Cut } from '../../core/history/types.ts';
import { parseMoment } from '../../core/moment.ts';
import { readSql } from '../../core/restore/undo/read.ts';
import { select } from '../../core/restore/undo/scope.ts';
import type { UndoScope } from '../../core/restore/undo/types.ts';
import { openTravelShop, type TravelShop } from '../travel/support.ts';
import { shopMap } from './support.ts';

let shop: TravelShop;
let client: pg.Client;
let bound: BoundMap;
let time: string;
let cut: Cut;

beforeAll(async () => {
  shop = await openTravelShop();
  client = shop.client;
  bound = await bind(client, shopMap);
  await client.query(
    "insert into shop.docs select i, case when i % 20 = 0 then 'a' else 'b' end, 't' from generate_series(1, 20000) i",
  );
  await advance(client);
  await client.query('vacuum analyze holdfast.trail');
  time = await shop.now();
  await client.query("update shop.docs set title = 'u' where tenant = 'b' and id < 8000");
  await client.query('begin');
  await client.query("select holdfast.set_actor('ann')");
  await client.query("update shop.docs set title = 'u' where tenant = 'a' and id < 100");
  await client.query('commit');
  await advance(client);
  cut = await resolveCut(client, parseMoment(time));
});
afterAll(() => shop.database.drop());

async function indexes(sql: string): Promise<string[]> {
  const { rows } = await client.query(`explain ${sql}`);
  const plan = rows.map((r) => r['QUERY PLAN'] as string).join('\n');
  return [...new Set(plan.match(/(?<=on |using )trail_\d{4}_\d\d_\w+_idx/g))].map((name) => name.slice(14, -4)).sort();
}

/** The statement behind a cursor. */
const ofCursor = (declare: string) => declare.slice(declare.indexOf(' for') + 4);

const scopes: readonly UndoScope[] = [
  { kind: 'tenant', to: { time: '' } },
  { kind: 'table', table: 'shop.docs', to: { time: '' } },
  { kind: 'records', table: 'shop.docs', records: [['20']], to: { time: '' } },
  { kind: 'user', user: 'ann', since: { time: '' } },
];
test.each(scopes.map((scope) => [scope.kind, scope] as const))('an undo of a %s', async (_, scope) => {
  const at = 'to' in scope ? { ...scope, to: { time } } : { ...scope, since: { time } };
  const sql = readSql('a', await select(client, bound, 'a', at as UndoScope)).find((s) => s.startsWith('declare'))!;
  expect(await indexes(ofCursor(sql))).not.toContain('xid');
  expect((await client.query(ofCursor(sql))).rows).toHaveLength(scope.kind === 'records' ? 1 : 4);
});

test('a restore of a tenant', async () => {
  const said: string[] = [];
  const listening = {
    query: (sql: string, values?: unknown[]) => {
      said.push(sql);
      return client.query(sql, values);
    },
  };
  let changes = 0;
  for await (const _ of readChanges(listening as unknown as pg.Client, { organization: 'a', after: cut })) changes += 1;
  expect(changes).toBe(4);
  expect(await indexes(ofCursor(said.find((sql) => sql.startsWith('declare'))!))).toEqual(['organization_at']);
});

test.each([
  ['a table of a tenant', "as_of_sql('shop.docs', low, 'a')", ['organization_at']],
  ['a record', "as_of_sql('shop.docs', low, null, '20')", ['table_id_record_at']],
  ['what differs in a tenant', "diff_sql('shop.docs', low, high, 'a')", ['organization_at']],
  ['what a user did', "activity_sql('ann', low, high)", ['user_id_at']],
  ["a tenant's timeline", "timeline_sql('1 hour', low, high, 'a')", ['organization_at']],
])('time travel: %s', async (_, question, expected) => {
  const { rows } = await client.query(
    `select holdfast.${question} as sql from holdfast.resolve_cut($1) low, holdfast.resolve_cut(null) high`,
    [time],
  );
  const found = await indexes(rows[0].sql);
  expect(found).toEqual(expect.arrayContaining(expected));
  expect(found).not.toContain('xid');
});

test('everybody at once is asked of the index on xid', async () => {
  const { rows } = await client.query(
    "select holdfast.as_of_sql('shop.docs', low) as sql from holdfast.resolve_cut($1) low",
    [time],
  );
  expect(await indexes(rows[0].sql)).toEqual(['xid']);
});
