/** What is undone, and what of others' later work stays. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { applyUndo, previewUndo } from '../../core/restore/undo/undo.ts';
import { type World, world } from './world.ts';

let w: World;
beforeAll(async () => {
  w = await world();
});
afterAll(() => w.drop());
beforeEach(async () => {
  await w.as(
    'setup',
    'truncate room, task, plain',
    'update team set lead_id = null',
    'delete from person',
    'delete from team',
    "insert into team values (1, 'a', 'Red', null), (2, 'a', 'Blue', null), (9, 'b', 'Other', null)",
    `insert into person (id, tenant_id, team_id, email, slug, age, low, high, note, settings) values
       (10, 'a', 1, 'ann@x', 'ann', 30, 1, 5, 'first', '{"a": [1, null]}'), (11, 'a', 1, 'bob@x', 'bob', 31, 1, 5, 'second', null),
       (90, 'b', 9, 'zoe@x', 'zoe', 50, 1, 5, null, null)`,
    "insert into plain values (1, 'a', 'one'), (2, 'a', 'two'), (3, 'b', 'three')",
  );
});

test('a session is undone and a later edit of another field of the same row stays', async () => {
  await w.as(
    'ann/s1',
    "update person set email = 'new@x', age = 40 where id = 10",
    "update plain set value = 'ANN' where id = 1",
  );
  await w.as('ann/s2', "update plain set value = 'KEPT' where id = 2");
  await w.as('bob/s3', "update person set note = 'by bob' where id = 10");
  const request = { tenant: 'a', scope: { kind: 'session', session: 's1' } } as const;
  const plan = await previewUndo(w.ctx, request);
  expect(plan.violations).toEqual([]);
  expect(plan.rows).toMatchObject([
    {
      table: 'public.person',
      record: '10',
      action: 'update',
      before: { age: '40', email: 'new@x' },
      after: { age: '30', email: 'ann@x' },
    },
    { table: 'public.plain', record: '1', before: { value: 'ANN' }, after: { value: 'one' } },
  ]);
  expect(plan.totals).toEqual({ inserted: 0, updated: 2, deleted: 0 });
  expect(await w.rows('select email, age from person where id = 10')).toEqual([['new@x', 40]]);
  const result = await applyUndo(w.ctx, { ...request, fingerprint: plan.fingerprint, actor: { userId: 'admin' } });
  expect(result).toMatchObject({ totals: plan.totals, rows: plan.rows, fingerprint: plan.fingerprint });
  expect(await w.rows('select email, age, note from person where id = 10')).toEqual([['ann@x', 30, 'by bob']]);
  expect(await w.rows("select value from plain where tenant_id = 'a' order by id")).toEqual(['one', 'KEPT']);
});
