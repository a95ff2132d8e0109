/** Requests that make no sense, and moments at which an undo must not go on: a clear error, nothing changed. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { UndoRequest } from '../../core/restore/undo/types.ts';
import { applyUndo, previewUndo } from '../../core/restore/undo/undo.ts';
import { type World, world } from './world.ts';

let w: World;
let to: { time: string };
beforeAll(async () => {
  w = await world();
  await w.as(
    'setup',
    "insert into team values (1, 'a', 'Red', null), (9, 'b', 'Other', null)",
    "insert into plain values (1, 'a', 'one'), (9, 'b', 'nine')",
  );
  to = { time: await w.now() };
  await w.as('ann/s1', "update plain set value = 'ANN' where id = 1", "update shared set note = 'x'");
});
afterAll(() => w.drop());

const records = (table: string, key: string[], columns?: string[]): UndoRequest => ({
  tenant: 'a',
  scope: { kind: 'records', table, records: [key], to, ...(columns ? { columns } : {}) },
});

test.each<[string, () => UndoRequest]>([
  ['HF_TABLE_UNKNOWN', () => records('plian', ['1'])],
  ['HF_TABLE_SHARED', () => records('shared', ['1'])],
  ['HF_COLUMN_UNKNOWN', () => records('plain', ['1'], ['valeu'])],
  ['HF_COLUMN_UNKNOWN', () => records('plain', ['1'], ['id'])],
  ['HF_KEY_INVALID', () => records('plain', ['1', '2'])],
  ['HF_KEY_INVALID', () => records('plain', ['one'])],
  ['HF_RECORD_UNKNOWN', () => records('plain', ['4711'])],
  ['HF_RECORD_UNKNOWN', () => records('plain', ['9'])],
  ['HF_TENANT_UNKNOWN', () => ({ ...records('plain', ['1']), tenant: 'nobody', scope: { kind: 'tenant', to } })],
  ['HF_SESSION_UNKNOWN', () => ({ tenant: 'a', scope: { kind: 'session', session: 'nope' } })],
  ['HF_USER_UNKNOWN', () => ({ tenant: 'a', scope: { kind: 'user', user: 'nobody', since: to } })],
  ['HF_TRANSACTION_UNKNOWN', () => ({ tenant: 'a', scope: { kind: 'transactions', transactions: ['1'] } })],
  ['HF_TRANSACTION_INVALID', () => ({ tenant: 'a', scope: { kind: 'transactions', transactions: ['1) or (true'] } })],
  ['HF_TIME_INVALID', () => ({ tenant: 'a', scope: { kind: 'tenant', to: { time: 'yesterday' } } })],
  ['HF_TIME_FUTURE', () => ({ tenant: 'a', scope: { kind: 'tenant', to: { time: '2099-01-01' } } })],
  ['HF_TIME_BEFORE_HISTORY', () => ({ tenant: 'a', scope: { kind: 'tenant', to: { time: '1999-01-01' } } })],
  ['HF_RESTORE_POINT_UNKNOWN', () => ({ tenant: 'a', scope: { kind: 'tenant', to: { point: 'nope' } } })],
  [
    'HF_CHOICE_INVALID',
    () => ({ ...records('plain', ['1']), choices: [{ table: 'plain', record: '1', column: 'value', take: 'base' }] }),
  ],
  ['HF_CHOICE_INVALID', () => ({ ...records('plain', ['1']), policy: 'maybe' as 'force' })],
])('%s', async (code, request) => {
  const before = await w.digest();
  await expect(previewUndo(w.ctx, request())).rejects.toMatchObject({ code, action: expect.any(String) });
  await expect(applyUndo(w.ctx, request())).rejects.toMatchObject({ code });
  expect(await w.digest()).toEqual(before);
});

test('a plan is stale when anything that matters has moved, and only then', async () => {
  const request = { tenant: 'a', scope: { kind: 'session', session: 's1' } } as const;
  const { fingerprint } = await previewUndo(w.ctx, request);
  await w.as('ann/s1', "insert into plain values (2, 'a', 'two')");
  await expect(applyUndo(w.ctx, { ...request, fingerprint })).rejects.toMatchObject({ code: 'HF_PLAN_STALE' });
  expect(await w.rows('select value from plain where id = 1')).toEqual(['ANN']);
  await w.as('ann/s1', 'delete from plain where id = 2');
  await w.as('bob', "update team set name = 'Blue' where id = 1");
  expect((await previewUndo(w.ctx, request)).fingerprint).toBe(fingerprint);
});

test('one restore of a tenant at a time; a preview waits for nobody', async () => {
  const request = { tenant: 'a', scope: { kind: 'session', session: 's1' } } as const;
  await w.client.query("begin; select pg_advisory_xact_lock(hashtextextended('holdfast.restore:a', 0))");
  try {
    await expect(applyUndo(w.ctx, request)).rejects.toMatchObject({ code: 'HF_RESTORE_BUSY' });
    expect((await previewUndo(w.ctx, request)).totals.updated).toBe(1);
  } finally {
    await w.client.query('rollback');
  }
});

test('what another does in the same transaction as the undo is undone with it', async () => {
  const request = { tenant: 'a', scope: { kind: 'session', session: 's1' } } as const;
  const refuse = async () => {
    throw new Error('no');
  };
  await expect(applyUndo(w.ctx, { ...request, beforeCommit: refuse })).rejects.toThrow('no');
  expect(await w.rows('select value from plain where id = 1')).toEqual(['ANN']);
});

test('rows of other tenants stay, also where a session changed them', async () => {
  await w.as('eve/s9', "update plain set value = 'EVE'");
  const result = await applyUndo(w.ctx, { tenant: 'b', scope: { kind: 'session', session: 's9' } });
  expect(result.totals.updated).toBe(1);
  expect(await w.rows('select value from plain order by id')).toEqual(['EVE', 'nine']);
  expect(result).toMatchObject({
    restorePoint: expect.stringMatching(/^before undo /),
    xid: expect.stringMatching(/^\d+$/),
  });
});

test('a change of schema is followed where it can be, and refused by name where it cannot', async () => {
  const before = { time: await w.now() };
  await w.as('ann/s5', "update plain set value = 'old name' where id = 1");
  await w.client.query('alter table public.plain rename value to content');
  const { map } = w.ctx;
  const renamed = await previewUndo({ ...w.ctx, map }, { tenant: 'a', scope: { kind: 'session', session: 's5' } });
  expect(renamed.rows).toMatchObject([{ record: '1', before: { content: 'old name' } }]);
  await w.client.query('alter table public.plain alter content type varchar(100) using upper(content)');
  const request: UndoRequest = { tenant: 'a', scope: { kind: 'table', table: 'plain', to: before } };
  await expect(applyUndo(w.ctx, request)).rejects.toMatchObject({ code: 'HF_SCHEMA_CHANGED' });
});
