/** Undo as people mistype it: one clear error, nothing changed; and as it is meant. */
import { beforeAll, expect, test } from '@jest/globals';
import { createShop, digest, INIT, type Shop } from '../cli/shop.ts';

let shop: Shop;
let before: string;
let xid: string;
const ORDERS = '"Shop"."Aufträge"';
beforeAll(async () => {
  shop = await createShop();
  expect((await shop.run(...INIT)).code).toBe(0);
  expect((await shop.run('install')).code).toBe(0);
  expect((await shop.run('restore-point', 'create', 'good', '-t', '2')).code).toBe(0);
  await shop.client.query(`begin; select holdfast.set_actor('ann', session_id := 's1')`);
  await shop.client.query(`update ${ORDERS} set betrag = 0, notiz = 'ann' where "Auftrag Nr" in (3, 33)`);
  xid = (await shop.client.query('select pg_current_xact_id()::text as xid')).rows[0].xid;
  await shop.client.query('commit');
  await shop.client.query(`begin; select holdfast.set_actor('bob')`);
  await shop.client.query(`update ${ORDERS} set betrag = 7 where "Auftrag Nr" = 33; commit`);
  before = await digest(shop.client);
});

const point = ['--point', 'good'];
const stale = ['--fingerprint', '0'.repeat(64)];

test.each<[string, number, string[]]>([
  ['HF_TABLE_UNKNOWN', 1, ['"Shop"."Auftrag"', '1', ...point]],
  ['HF_KEY_INVALID', 1, [ORDERS, 'one', ...point]],
  ['HF_RECORD_UNKNOWN', 1, [ORDERS, '2', ...point]], // another tenant's
  ['HF_COLUMN_UNKNOWN', 1, [ORDERS, '1', '--columns', 'betrug', ...point]],
  ['HF_SESSION_UNKNOWN', 1, ['--session', "s1' or true --"]],
  ['HF_TRANSACTION_INVALID', 1, ['--transactions', '1) or (true']],
  ['HF_TIME_INVALID', 2, ['--to', 'yesterday']],
  ['HF_TARGET_MISSING', 2, []],
  ['HF_TARGET_AMBIGUOUS', 2, ['--session', 's1', '--user', 'ann', ...point]],
  ['HF_ARGUMENT_INVALID', 2, ['--session', 's1', '--policy', 'maybe']],
  ['HF_ARGUMENT_INVALID', 2, ['--session', 's1', '--choose', 'betrag=base']],
  ['HF_ARGUMENT_INVALID', 2, ['--session', 's1', '--choices', 'holdfast.yaml']],
  ['HF_CHOICE_INVALID', 1, ['--session', 's1', '--choose', `${ORDERS}.33.notiz=base`]],
  ['HF_UNDO_CONFLICT', 1, ['--session', 's1']],
  ['HF_UNDO_OTHERS', 1, point],
  ['HF_PLAN_STALE', 1, ['--session', 's1', '--policy', 'skip', ...stale]],
])('%s, exit code %i: %j', async (code, exit, words) => {
  const { code: left, stderr, stdout } = await shop.run('undo', '-t', '2', ...words);
  expect(stderr.match(/^HF_\w+/gm)).toEqual([code]);
  expect(stderr).toContain('what to do:');
  expect([left, stdout]).toEqual([exit, '']);
  expect(await digest(shop.client)).toBe(before);
});

test('a tenant that is not there; one that another restore is writing', async () => {
  const unknown = await shop.run('undo', '-t', '99', ...point, '--json');
  expect(unknown.json.error.code).toMatch(/^HF_(TENANT_UNKNOWN|RESTORE_POINT_UNKNOWN)$/);
  const rival = await shop.database.client();
  await rival.query("begin; select pg_advisory_xact_lock(hashtextextended('holdfast.restore:2', 0))");
  const busy = await shop.run('undo', '-t', '2', '--transactions', xid, '--policy', 'skip', '--json');
  await rival.query('rollback');
  expect(busy.json.error.code).toBe('HF_RESTORE_BUSY');
  expect(await digest(shop.client)).toBe(before);
});

test('the command that a preview ends with does exactly that, and the one that an undo ends with takes it back', async () => {
  const preview = await shop.run(
    'undo',
    '-t',
    '2',
    '--session',
    's1',
    '--choose',
    `${ORDERS}.33.betrag=theirs`,
    '--preview',
  );
  expect(preview).toMatchObject({ code: 0, stderr: '' });
  expect(await digest(shop.client)).toBe(before);
  const words = [...preview.stdout.matchAll(/^ {2}holdfast (undo .*)$/gm)][0]![1]!;
  const given = [...words.matchAll(/'([^']*)'|(\S+)/g)].map((m) => m[1] ?? m[2]!);
  const done = await shop.run(...given);
  expect(done).toMatchObject({ code: 0, stderr: '' });
  const { rows } = await shop.client.query(
    `select betrag::text from ${ORDERS} where "Auftrag Nr" in (3, 33) order by "Auftrag Nr"`,
  );
  expect(rows).toEqual([{ betrag: '3.75' }, { betrag: '0.00' }]);
  const back = /^To undo: holdfast (.*)$/m.exec(done.stdout)![1]!;
  expect((await shop.run(...back.split(' '))).code).toBe(0);
  expect(await digest(shop.client)).toBe(before);
});

test('across a change of the schema: refused by name, also where it comes between approval and apply', async () => {
  const { run, client } = shop;
  const asked = await run(
    'restores',
    'request',
    '-t',
    '2',
    '--session',
    's1',
    '--policy',
    'skip',
    '--reason',
    'r',
    '--by',
    'a',
    '--json',
  );
  const { id } = asked.json.request;
  expect((await run('restores', 'approve', id, '--by', 'b')).code).toBe(0);
  await client.query(`alter table ${ORDERS} alter betrag type text using betrag::text || ' EUR'`);
  const after = await digest(client);
  for (const words of [
    ['undo', '-t', '2', '--session', 's1', '--policy', 'skip'],
    ['undo', '-t', '2', '--session', 's1', '--preview'],
    ['undo', ORDERS, '3', '-t', '2', ...point, '--preview'],
    ['restores', 'apply', id, '--by', 'a'],
  ]) {
    const refused = await run(...words, '--json');
    expect(refused).toMatchObject({ code: 1, json: { error: { code: 'HF_SCHEMA_CHANGED' } } });
    expect(await digest(client)).toBe(after);
  }
  const shown = await run('restores', 'show', id, '--json');
  expect(shown.json.request).toMatchObject({ state: 'failed', error: { code: 'HF_SCHEMA_CHANGED' } });
});
