import { expect, test } from '@jest/globals';
import { seconds } from '../../cli/duration.ts';
import { type RequestOptions, requestedRestore } from '../../cli/requestArguments.ts';

const ask = (options: Partial<RequestOptions>) =>
  requestedRestore({ tenant: '2', includeOffered: false, asSystemAdministrator: false, ...options });

test('what is asked for becomes one restore', () => {
  expect(ask({ point: 'good' })).toEqual({ kind: 'tenant', request: { tenant: '2', to: { point: 'good' } } });
  expect(ask({ targetTime: '2026-03-01T14:05+02:00' }).request).toEqual({
    tenant: '2',
    to: { time: '2026-03-01T12:05:00.000000Z' },
  });
  expect(ask({ session: 's', tables: 'a.b, c.d', policy: 'skip', includeOffered: true })).toEqual({
    kind: 'undo',
    request: {
      tenant: '2',
      scope: { kind: 'session', session: 's', tables: ['a.b', 'c.d'] },
      policy: 'skip',
      include: 'offered',
    },
  });
  expect(ask({ table: 'a.b', record: ['7', '["7", "x"]', '["'], columns: 'c,d', point: 'p' }).request).toMatchObject({
    scope: { kind: 'records', records: [['7'], ['7', 'x'], ['["']], columns: ['c', 'd'], to: { point: 'p' } },
  });
  expect(ask({ table: 'a.b', point: 'p' }).request).toMatchObject({ scope: { kind: 'table', table: 'a.b' } });
  expect(ask({ transaction: '12, 13' }).request).toMatchObject({ scope: { transactions: ['12', '13'] } });
  expect(ask({ user: 'eve', point: 'p' }).request).toMatchObject({ scope: { user: 'eve', since: { point: 'p' } } });
  expect(ask({ from: '1', except: 'a.b', backup: 'x', asSystemAdministrator: true })).toEqual({
    kind: 'transfer',
    request: { from: '1', into: '2', asSystemAdministrator: true, to: { backup: 'x' }, except: ['a.b'] },
  });
});

test.each([
  ['HF_TARGET_MISSING', {}],
  ['HF_TARGET_MISSING', { user: 'eve' }],
  ['HF_TARGET_MISSING', { table: 'a.b', backup: 'x' }],
  ['HF_TARGET_AMBIGUOUS', { point: 'a', backup: 'b' }],
  ['HF_TARGET_AMBIGUOUS', { session: 'a', user: 'b', point: 'good' }],
  ['HF_ARGUMENT_INVALID', { session: 'a', policy: 'maybe' }],
  ['HF_TIME_INVALID', { targetTime: 'yesterday' }],
] as const)('too little or too much is refused: %s %j', (code, options) => {
  expect(() => ask(options)).toThrow(expect.objectContaining({ code }));
});

test('lengths of time', () => {
  expect(['90s', '15m', '2h', '7d'].map((t) => seconds(t, '--for'))).toEqual([90, 900, 7200, 604_800]);
  for (const text of ['', '0h', '5', 'h', '-1h', '1.5h', '1w']) {
    expect(() => seconds(text, '--for')).toThrow(expect.objectContaining({ code: 'HF_ARGUMENT_INVALID' }));
  }
});
