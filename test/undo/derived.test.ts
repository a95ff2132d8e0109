/** Columns that follow from others or that every write stamps are nobody's edit. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { DataMap } from '../../core/datamap/types.ts';
import { columnsSet } from '../../core/restore/undo/stamped.ts';
import { applyUndo, previewUndo } from '../../core/restore/undo/undo.ts';
import { type World, world } from './world.ts';

let w: World;
beforeAll(async () => {
  w = await world();
  await w.client.query(`alter table public.plain add extra text, add revision int not null default 1, add updated_at timestamptz,
      add both_of text generated always as (value || extra) stored;
    create function public.touch() returns trigger language plpgsql as $$
      begin /* new.value := 'no' */ new.updated_at := clock_timestamp(); new.revision = old.revision + 1; return new; end $$;
    create trigger touch before update on public.plain for each row execute function public.touch()`);
});
afterAll(() => w.drop());

const row = (id: number) => w.rows(`select value, extra, both_of, revision from plain where id = ${id}`);

test('two people edit two fields of a row: what is generated, and what a trigger stamps, is no conflict', async () => {
  await w.as('setup', "insert into plain (id, tenant_id, value, extra) values (1, 'a', 'one', '!')");
  await w.as('ann/d1', "update plain set value = 'ANN' where id = 1");
  await w.as('bob', "update plain set extra = '?' where id = 1");
  const request = { tenant: 'a', scope: { kind: 'session', session: 'd1' } } as const;
  const plan = await previewUndo(w.ctx, request);
  expect(plan).toMatchObject({ conflicts: [], violations: [] });
  expect(plan.rows).toMatchObject([{ record: '1', before: { value: 'ANN' }, after: { value: 'one' } }]);
  expect(Object.keys(plan.rows[0]!.after!)).toEqual(['value']);
  expect(plan.stamped).toEqual([
    { table: 'public.plain', column: 'revision', rows: 1 },
    { table: 'public.plain', column: 'updated_at', rows: 1 },
  ]);
  const stamp = await w.rows('select updated_at::text from plain where id = 1');
  await applyUndo(w.ctx, { ...request, fingerprint: plan.fingerprint });
  expect(await row(1)).toEqual([['one', '?', 'one?', 3]]);
  expect(await w.rows('select updated_at::text from plain where id = 1')).toEqual(stamp);
});

test('where nobody wrote later, the stamps go back too; force takes them back, and a choice decides', async () => {
  await w.as('setup', "insert into plain (id, tenant_id, value, extra) values (2, 'a', 'one', '!')");
  await w.as('ann/d2', "update plain set value = 'ANN' where id = 2");
  const request = { tenant: 'a', scope: { kind: 'session', session: 'd2' } } as const;
  const undone = await applyUndo(w.ctx, request);
  expect(undone.stamped).toEqual([]);
  expect(await w.rows('select value, revision, updated_at from plain where id = 2')).toEqual([['one', 1, null]]);
  await applyUndo(w.ctx, { tenant: 'a', scope: { kind: 'transactions', transactions: [undone.xid!] } });

  await w.as('bob', "update plain set extra = '?' where id = 2");
  const choices = [{ table: 'plain', record: '2', column: 'revision', take: 'base' } as const];
  const chosen = await previewUndo(w.ctx, { ...request, choices });
  expect(chosen.rows[0]!.after).toEqual({ value: 'one', revision: '1' });
  const forced = await previewUndo(w.ctx, { ...request, policy: 'force' });
  expect(forced.rows[0]!.after).toEqual({ value: 'one', revision: '1', updated_at: null });
});

test('an edit of the field that a generated column follows is one conflict, not two', async () => {
  await w.as('setup', "insert into plain (id, tenant_id, value, extra) values (3, 'a', 'one', '!')");
  await w.as('ann/d3', "update plain set value = 'ANN' where id = 3");
  await w.as('bob', "update plain set value = 'BOB' where id = 3");
  const plan = await previewUndo(w.ctx, { tenant: 'a', scope: { kind: 'session', session: 'd3' } });
  expect(plan.conflicts).toMatchObject([{ record: '3', column: 'value' }]);
  expect(plan.conflictCount).toBe(1);
});

test('what the data map calls stamped is taken for it, where the application itself writes it', async () => {
  const map: DataMap = {
    ...w.ctx.map,
    tables: w.ctx.map.tables.map((t) =>
      t.name === 'public.person'
        ? { ...t, columns: { note: { class: 'internal', sealed: false, stamped: true as const } } }
        : t,
    ),
  };
  await w.as(
    'setup',
    "insert into team values (1, 'a', 'Red', null)",
    "insert into person (id, tenant_id, team_id, email, age, note) values (10, 'a', 1, 'ann@x', 30, 'v1')",
  );
  await w.as('ann/d4', "update person set age = 31, note = 'v2' where id = 10");
  await w.as('bob', "update person set email = 'new@x', note = 'v3' where id = 10");
  const request = { tenant: 'a', scope: { kind: 'session', session: 'd4' } } as const;
  expect((await previewUndo(w.ctx, request)).conflicts).toMatchObject([{ column: 'note' }]);
  const plan = await previewUndo({ ...w.ctx, map }, request);
  expect(plan).toMatchObject({
    conflicts: [],
    stamped: [{ column: 'note', rows: 1 }],
    rows: [{ after: { age: '30' } }],
  });
});

test('only what does not come from the row itself is a stamp', () => {
  const source = `begin
    new.Email := lower(new.email); new."At" = now(); NEW.version := old.version + 1; new.search := to_tsvector(NEW.body);
    if new.at is null then new.by := current_user; end if; -- new.note := 'x';
    new.mixed := now(); new.mixed := new.other;
    return new; end`;
  const columns = ['email', 'At', 'at', 'version', 'search', 'by', 'note', 'mixed'];
  expect(columnsSet(source, columns)).toEqual(['At', 'version', 'by']);
});
