/** What is undone, and what of others' later work stays. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { advance } from '../../core/history/advance.ts';
import { batch } from '../../core/restore/batch.ts';
import { readSql } from '../../core/restore/undo/read.ts';
import { select } from '../../core/restore/undo/scope.ts';
import { applyUndo, previewUndo } from '../../core/restore/undo/undo.ts';
import { connect } from '../../core/sql.ts';
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
    'ann/s1-0',
    "update person set email = 'new@x', age = 40 where id = 10",
    "update plain set value = 'ANN' where id = 1",
  );
  await w.as('ann/s2-0', "update plain set value = 'KEPT' where id = 2");
  await w.as('bob/s3-0', "update person set note = 'by bob' where id = 10");
  const request = { tenant: 'a', scope: { kind: 'session', session: 's1-0' } } as const;
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

test('what somebody has changed since is refused, skipped, forced, or decided for each field', async () => {
  await w.as(
    'ann/s1-1',
    "update person set email = 'new@x', age = 40 where id = 10",
    "update plain set value = 'ANN' where id = 1",
  );
  await w.as('bob', 'update person set age = 41 where id = 10');
  const request = { tenant: 'a', scope: { kind: 'session', session: 's1-1' } } as const;
  const conflict = {
    table: 'public.person',
    record: '10',
    column: 'age',
    kind: 'edited',
    base: '30',
    theirs: '40',
    current: '41',
  };
  const now = async () =>
    (await w.rows('select email, age, (select value from plain where id = 1) from person where id = 10'))[0];

  const plan = await previewUndo(w.ctx, request);
  expect(plan.conflicts).toMatchObject([{ ...conflict, take: null, by: [{ userId: 'bob' }] }]);
  expect(plan.violations).toMatchObject([{ code: 'HF_UNDO_CONFLICT' }]);
  await expect(applyUndo(w.ctx, request)).rejects.toMatchObject({
    code: 'HF_UNDO_CONFLICT',
    details: { count: 1, conflicts: [conflict] },
  });
  expect(await now()).toEqual(['new@x', 41, 'ANN']);

  const skipped = await applyUndo(w.ctx, { ...request, policy: 'skip' });
  expect(skipped.conflicts).toMatchObject([{ ...conflict, take: 'current' }]);
  expect(await now()).toEqual(['ann@x', 41, 'one']);
  await applyUndo(w.ctx, { tenant: 'a', scope: { kind: 'transactions', transactions: [skipped.xid!] } });
  expect(await now()).toEqual(['new@x', 41, 'ANN']);

  const forced = await applyUndo(w.ctx, { ...request, policy: 'force' });
  expect(await now()).toEqual(['ann@x', 30, 'one']);
  await applyUndo(w.ctx, { tenant: 'a', scope: { kind: 'transactions', transactions: [BigInt(forced.xid!)] } });
  expect(await now()).toEqual(['new@x', 41, 'ANN']);

  const choices = [{ table: 'public.person', record: '10', column: 'age', take: 'theirs' } as const];
  await applyUndo(w.ctx, { ...request, choices });
  expect(await now()).toEqual(['ann@x', 40, 'one']);
});

test('what a user overwrote of somebody else comes back as that somebody left it', async () => {
  await w.as('ann/s1-2', "update plain set value = 'ANN' where id = 1");
  await w.as('bob', "update plain set value = 'BOB' where id = 1");
  await w.as('ann/s1-2', "update plain set value = 'ANN AGAIN' where id = 1");
  await applyUndo(w.ctx, { tenant: 'a', scope: { kind: 'session', session: 's1-2' } });
  expect(await w.rows('select value from plain where id = 1')).toEqual(['BOB']);
});

test('a record, a field, a set and a table go back to a moment; the work of several people must have been seen', async () => {
  const to = { time: await w.now() };
  await w.as('ann', "update person set email = 'new@x', note = 'x' where id = 10", 'delete from plain where id = 1');
  const records = { kind: 'records', table: 'person', to } as const;
  const field = await applyUndo(w.ctx, { tenant: 'a', scope: { ...records, records: [['10']], columns: ['note'] } });
  expect(field.rows).toMatchObject([{ before: { note: 'x' }, after: { note: 'first' }, by: [{ userId: 'ann' }] }]);
  expect(await w.rows('select email, note from person where id = 10')).toEqual([['new@x', 'first']]);

  await w.as('bob', 'update person set age = 32 where id = 11', "insert into plain values (5, 'a', 'five')");
  const set = { tenant: 'a', scope: { ...records, records: [['10'], ['011']] } } as const;
  await expect(applyUndo(w.ctx, set)).rejects.toMatchObject({
    code: 'HF_UNDO_OTHERS',
    details: { authors: { length: 3 } },
  });
  const plan = await previewUndo(w.ctx, set);
  expect(plan.authors.map((a) => a.userId).sort()).toEqual(['ann', 'bob', null]);
  await applyUndo(w.ctx, { ...set, fingerprint: plan.fingerprint });
  expect(await w.rows("select email, age from person where tenant_id = 'a' order by id")).toEqual([
    ['ann@x', 30],
    ['bob@x', 31],
  ]);

  await applyUndo(w.ctx, { tenant: 'a', scope: { kind: 'table', table: 'plain', to }, policy: 'force' });
  expect(await w.rows('select id, value from plain order by id')).toEqual([
    [1, 'one'],
    [2, 'two'],
    [3, 'three'],
  ]);
});

test('a row that was made goes, unless somebody worked on it or something hangs on it; that can be taken along', async () => {
  await w.as('ann/s1-4', `insert into person (id, tenant_id, team_id, email) values (12, 'a', 1, 'cat@x')`);
  const request = { tenant: 'a', scope: { kind: 'session', session: 's1-4' } } as const;
  await w.as(
    'bob',
    "insert into task (id, tenant_id, person_id, title) overriding system value values (77, 'a', 12, 'call')",
  );
  const plan = await previewUndo(w.ctx, request);
  expect(plan.offers).toMatchObject([
    { table: 'public.task', record: '77', action: 'delete', constraint: 'task_person_id_fkey' },
  ]);
  expect(plan.violations).toMatchObject([{ code: 'HF_UNDO_NEEDS' }]);
  await expect(applyUndo(w.ctx, { ...request, policy: 'force' })).rejects.toMatchObject({ code: 'HF_UNDO_NEEDS' });
  const skipped = await previewUndo(w.ctx, { ...request, policy: 'skip' });
  expect(skipped).toMatchObject({
    totals: { deleted: 0 },
    conflicts: [{ kind: 'referenced', record: '12' }],
    violations: [],
  });
  const result = await applyUndo(w.ctx, { ...request, include: [{ table: 'public.task', record: '77' }] });
  expect(result.rows).toMatchObject([{ record: '12' }, { record: '77', included: true, before: { title: 'call' } }]);
  expect(await w.rows('select count(*)::int from task')).toEqual([0]);

  await w.as('ann/s2-4', "insert into plain values (6, 'a', 'six')");
  await w.as('bob', "update plain set value = 'SIX' where id = 6");
  const edited = { tenant: 'a', scope: { kind: 'session', session: 's2-4' } } as const;
  expect((await previewUndo(w.ctx, edited)).conflicts).toMatchObject([{ kind: 'edited', record: '6', take: null }]);
  await applyUndo(w.ctx, { ...edited, choices: [{ table: 'plain', record: '6', take: 'base' }] });
  expect(await w.rows('select count(*)::int from plain where id = 6')).toEqual([0]);
});

test('a row whose reference would only be emptied is not offered to go along', async () => {
  await w.as('ann/s1-8', "insert into person (id, tenant_id, team_id, email) values (12, 'a', 1, 'cat@x')");
  await w.as('bob', 'update person set boss_id = 12 where id = 10');
  const request = { tenant: 'a', scope: { kind: 'session', session: 's1-8' }, include: 'offered' } as const;
  const plan = await previewUndo(w.ctx, request);
  expect(plan).toMatchObject({
    offers: [],
    violations: [{ code: 'HF_UNDO_NEEDS', details: { other: { record: '10' } } }],
  });
  await expect(applyUndo(w.ctx, request)).rejects.toMatchObject({ code: 'HF_UNDO_NEEDS' });
  expect(await w.rows('select boss_id from person where id = 10')).toEqual([12]);
});

test('a deleted row comes back with its parents, its circle and its generated columns', async () => {
  await w.as('ann', 'update team set lead_id = 10 where id = 1', 'update person set boss_id = 11 where id = 10');
  await w.as('setup', "insert into task (tenant_id, person_id, title) values ('a', 10, 'call')");
  const before = await w.digest();
  await w.as(
    'ann/s1-5',
    'update team set lead_id = null where id = 1',
    'delete from person where id in (10, 11)',
    'delete from team where id = 1',
  );
  const parent = { tenant: 'a', scope: { kind: 'session', session: 's1-5', tables: ['person'] } } as const;
  const plan = await previewUndo(w.ctx, parent);
  expect(plan.offers).toMatchObject([
    { table: 'public.team', record: '1', action: 'insert', for: { table: 'public.person' } },
  ]);
  expect((await previewUndo(w.ctx, { ...parent, include: 'offered' })).totals).toEqual({
    inserted: 3,
    updated: 0,
    deleted: 0,
  });
  const result = await applyUndo(w.ctx, { tenant: 'a', scope: { kind: 'session', session: 's1-5' } });
  expect(result.totals).toEqual({ inserted: 4, updated: 0, deleted: 0 });
  expect(await w.digest()).toEqual(before);
  expect(await w.rows('select shout from person where id = 10')).toEqual(['FIRST']);
});

test('swapped unique values are swapped back, and user triggers rest', async () => {
  await w.client.query(`create function public.stamp() returns trigger language plpgsql as $$ begin new.note := 'stamped'; return new; end $$;
    create trigger stamp before update on public.person for each row execute function public.stamp()`);
  try {
    await w.as('ann/s1-6', "update person set email = 'tmp' where id = 10");
    await w.as('ann/s1-6', "update person set email = 'ann@x' where id = 11");
    await w.as('ann/s1-6', "update person set email = 'bob@x' where id = 10");
    const result = await applyUndo(w.ctx, { tenant: 'a', scope: { kind: 'session', session: 's1-6' } });
    expect(result.suspended).toEqual([{ table: 'public.person', trigger: 'stamp' }]);
    expect(await w.rows("select email, note from person where tenant_id = 'a' order by id")).toEqual([
      ['ann@x', 'first'],
      ['bob@x', 'second'],
    ]);
    await w.as('ann/s2-6', 'update person set age = 60 where id = 10');
    const firing = { tenant: 'a', scope: { kind: 'session', session: 's2-6' }, userTriggers: 'fire' } as const;
    await expect(applyUndo(w.ctx, firing)).rejects.toMatchObject({ code: 'HF_RESTORE_DIFFERS' });
    await applyUndo(w.ctx, { ...firing, userTriggers: 'suspend' });
    expect(await w.rows('select age, note from person where id = 10')).toEqual([[30, 'first']]);
  } finally {
    await w.client.query('drop trigger stamp on public.person');
  }
});

test('what commits while an undo is being prepared is taken back too, however early it was written', async () => {
  await advance(w.client);
  const time = await w.now();
  const slow = await connect(w.ctx.databaseUrl!);
  try {
    await slow.query("begin; update public.plain set value = 'slow' where id = 1");
    await w.as('bob', "update plain set value = 'BOB' where id = 2");
    const selection = await select(w.client, w.bound, 'a', { kind: 'tenant', to: { time } });
    await slow.query('commit');
    await w.client.query('begin isolation level repeatable read');
    const results = await batch(w.client, readSql('a', selection));
    await w.client.query('rollback');
    expect(results.at(-1)!.rows).toMatchObject([{ record: '1' }, { record: '2' }]);
  } finally {
    await slow.end();
  }
});
