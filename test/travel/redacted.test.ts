/** Values that were lawfully erased from the trail: looked back at, they are shown as that; nothing is restored out of them. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { diff } from '../../core/history/travel/diff.ts';
import { history } from '../../core/history/travel/history.ts';
import { stateAsOf } from '../../core/history/travel/stateAsOf.ts';
import { fold } from '../../core/restore/fold.ts';
import { applyUndo, previewUndo } from '../../core/restore/undo/undo.ts';
import { type World, world } from '../undo/world.ts';
import { all } from './support.ts';

let w: World;
let born: string;
let edited: string;
beforeAll(async () => {
  w = await world();
  await w.as(
    'setup',
    "insert into team values (1, 'a', 'Red', null)",
    "insert into person (id, tenant_id, team_id, email, age, note) values (10, 'a', 1, 'ann@x', 30, 'first'), (11, 'a', 1, 'bob@x', 40, 'x')",
  );
  born = await w.now();
  await w.as('ann/r1', "update person set age = 31, note = 'second' where id = 10");
  edited = await w.now();
  await w.as('bob/r2', 'update person set low = 1 where id = 10', 'delete from person where id = 11');
  // As redactTrail leaves it: a pair of values, and a value of a row that was deleted.
  await w.client.query(`update holdfast.trail set changes = changes || '{"age": {"redacted": true}, "note": {"redacted": true}}'
    where action = 'U' and changes ? 'age' or action = 'D' and record = '11'`);
});
afterAll(() => w.drop());

const REDACTED = { redacted: true };

test('as-of, diff and history say what was erased; what is known is shown', async () => {
  const state = await stateAsOf(w.client, { table: 'person', at: { moment: born }, limit: 10 });
  expect(await all(state.rows)).toMatchObject([
    { id: '10', email: 'ann@x', age: REDACTED, note: REDACTED, low: null },
    { id: '11', email: 'bob@x', age: REDACTED, note: REDACTED },
  ]);
  const later = await stateAsOf(w.client, { table: 'person', at: { moment: edited }, key: ['10'] });
  expect(await all(later.rows)).toMatchObject([{ age: '31', note: 'second', low: null }]);

  const differences = await diff(w.client, { table: 'person', from: { moment: born }, to: { moment: edited } });
  expect(await all(differences.differences)).toMatchObject([
    { record: '10', before: { age: REDACTED }, after: { age: '31', note: 'second' } },
  ]);
  const versions = await all((await history(w.client, { table: 'person', key: ['10'] })).versions);
  expect(versions.map((v) => v.fields.find((f) => f.column === 'age'))).toEqual([
    undefined,
    { column: 'age', old: REDACTED, new: REDACTED },
    { column: 'age', old: null, new: '30' },
  ]);
});

test('in SQL, rows have null there, and a notice says so once', async () => {
  const notices: string[] = [];
  const hear = (notice: { message?: string | undefined }) => void notices.push(notice.message!);
  w.client.on('notice', hear);
  try {
    expect(
      await w.rows(`select id, email, age from holdfast.as_of(null::public.person, '${born}') order by id`),
    ).toEqual([
      [10, 'ann@x', null],
      [11, 'bob@x', null],
    ]);
    expect(notices).toEqual([expect.stringMatching(/^values of public.person were erased from history/)]);
    expect(
      await w.rows(`select (before).age, (after).age from holdfast.diff(null::public.person, '${born}', '${edited}')`),
    ).toEqual([[null, 31]]);
    expect(
      await w.rows("select (version).age, (version).note from holdfast.versions(null::public.person, '10')"),
    ).toEqual([
      [31, 'second'],
      [31, 'second'],
      [null, null],
    ]);
  } finally {
    w.client.off('notice', hear);
  }
});

test('an undo that would need them is refused by name; the rest can be undone', async () => {
  const before = await w.digest();
  const refused = { code: 'HF_VALUE_REDACTED', details: { table: 'public.person', columns: ['age', 'note'] } };
  for (const scope of [
    { kind: 'session', session: 'r1' },
    { kind: 'records', table: 'person', records: [['10']], to: { time: born } },
    { kind: 'session', session: 'r2' },
  ] as const) {
    await expect(previewUndo(w.ctx, { tenant: 'a', scope })).rejects.toMatchObject(refused);
    await expect(applyUndo(w.ctx, { tenant: 'a', scope, policy: 'force' })).rejects.toMatchObject({
      code: refused.code,
      message: expect.stringMatching(/age, note of public.person 1[01] /),
    });
  }
  expect(await w.digest()).toEqual(before);
  const fields = { kind: 'records', table: 'person', records: [['10']], columns: ['low'], to: { time: born } } as const;
  expect((await applyUndo(w.ctx, { tenant: 'a', scope: fields, policy: 'force' })).rows).toMatchObject([
    { after: { low: null } },
  ]);
});

test('somebody else’s erased edit stays, and is shown as erased', async () => {
  await w.as('cay/r3', 'update person set high = 7 where id = 10');
  await w.as('dan', 'update person set high = 8 where id = 10');
  await w.client.query(
    `update holdfast.trail set changes = '{"high": {"redacted": true}}' where changes -> 'high' ->> 1 = '8'`,
  );
  const scope = { kind: 'session', session: 'r3' } as const;
  const plan = await previewUndo(w.ctx, { tenant: 'a', scope, policy: 'skip' });
  expect(plan.conflicts).toMatchObject([
    { column: 'high', base: null, theirs: '7', current: '(redacted)', take: 'current' },
  ]);
  expect(plan.totals.updated).toBe(0);
});

test('where the record itself was erased, that is said, and not that the table has no key', async () => {
  await w.as('eve/r4', "update person set slug = 'x' where id = 10");
  await w.client.query("update holdfast.trail set record = null where changes -> 'slug' ->> 1 = 'x'");
  await expect(previewUndo(w.ctx, { tenant: 'a', scope: { kind: 'session', session: 'r4' } })).rejects.toMatchObject({
    code: 'HF_VALUE_REDACTED',
    message: 'The key of a record of public.person has been erased from the trail.',
  });
});

test('a restore of all does not write them either', () => {
  const change = { table: 3, record: '10', seq: 1n, action: 'U' as const, changes: { age: REDACTED } };
  for (const direction of ['forward', 'backward'] as const) {
    expect(() => fold([change as never], direction)).toThrow(/age of table 3 10 was has been erased/);
  }
});
