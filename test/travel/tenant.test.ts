import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { tenantAsOf } from '../../core/history/travel/tenantAsOf.ts';
import { holdfast } from '../cli/run.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { all, openTravelShop, type TravelShop } from './support.ts';

let shop: TravelShop;
let moment: string;
let cwd: string;
beforeAll(async () => {
  shop = await openTravelShop();
  await shop.client.query(`
    insert into shop.docs values (1, 'a', 'one, "quoted"', 1), (2, 'b', '', 2), (3, 'a', null, 3);
    insert into shop.lines values (1, 1, 'x'), (1, 2, 'y')`);
  moment = await shop.now();
  await shop.client.query("delete from shop.docs where id = 1; update shop.docs set title = 'later'");
  cwd = await temporaryDirectory();
});
afterAll(() => shop.database.drop());

const run = (...args: string[]) => holdfast(args, { cwd, url: shop.database.url });

test('all that a tenant had, table by table, of one moment', async () => {
  const { states, tables } = await tenantAsOf(shop.client, { tenant: 'a', at: { moment } });
  const found: Record<string, number> = {};
  for await (const state of states) {
    expect(state.moment).toBe(moment);
    found[state.table] = (await all(state.rows)).length;
  }
  expect(found).toEqual({ 'shop.docs': 2, 'shop.lines': 2, 'shop.tenants': 1 });
  expect(tables).toEqual(Object.keys(found));
});

test('the command line counts them, streams them, and shows one table as CSV that COPY reads', async () => {
  const counted = await run('as-of', '-t', 'a', '--at', moment, '--json');
  expect(counted.json).toEqual({
    tenant: 'a',
    moment,
    tables: [
      { table: 'shop.docs', rows: 2 },
      { table: 'shop.lines', rows: 2 },
      { table: 'shop.tenants', rows: 1 },
    ],
  });
  const streamed = await run('as-of', '-t', 'a', '--at', moment, '--jsonl');
  const rows = streamed.stdout.trimEnd().split('\n');
  expect(rows.map((line) => JSON.parse(line).table)).toEqual([
    'shop.docs',
    'shop.docs',
    'shop.lines',
    'shop.lines',
    'shop.tenants',
  ]);
  const csv = await run('as-of', 'shop.docs', '--at', moment, '--csv', '--limit', '3');
  expect(csv.stdout).toBe('id,tenant,title,amount\n1,a,"one, ""quoted""",1\n2,b,"",2\n3,a,,3\n');
  expect((await run('as-of', '--at', moment)).code).toBe(2);
});

test('pages, charts and refusals on the command line', async () => {
  const first = await run('history', 'shop.docs', 'id=3', '--limit', '1', '--json');
  expect(first.json).toMatchObject({ table: 'shop.docs', record: '3', versions: [{ action: 'update' }] });
  const second = await run('history', 'shop.docs', '3', '--limit', '1', '--json', '--after', first.json.next);
  expect(second.json).toMatchObject({ versions: [{ action: 'insert' }], next: null });
  const difference = await run('diff', 'shop.docs', '--from', moment);
  expect(difference.stdout).toContain('- 1\n');
  expect(difference.stdout).toMatch(/~ 3\n +title +null → later/);
  const chart = await run('timeline', '--bucket', '1 day', '-t', 'a');
  expect(chart.stdout).toMatch(/█ {2}4 inserts|4 inserts/);
  expect((await run('activity', '--json')).json.changes).toHaveLength(10);
  expect((await run('as-of', 'shop.docs', '--at', moment, '--json', '--csv')).code).toBe(2);
  expect((await run('as-of', 'shop.dogs', '--at', moment, '--json')).json.error.code).toBe('HF_TABLE_UNKNOWN');
});
