import { expect, test } from '@jest/globals';
import type { Action, Change } from '../../core/history/types.ts';
import { fold, foldStream, type Net } from '../../core/restore/fold.ts';

function change(
  seq: number,
  action: Action,
  changes: Change['changes'],
  record: string | null = 'a',
  table = 1,
): Change {
  return {
    seq: BigInt(seq),
    before: null,
    xid: 1n,
    at: '',
    table,
    action,
    organization: 't',
    record,
    person: null,
    userId: null,
    actor: null,
    changes,
    metadata: null,
  };
}

test('backward: what a record was before', () => {
  expect(fold([change(1, 'I', { id: '1' }), change(2, 'D', { id: '1' })], 'backward')).toEqual({ kind: 'absent' });
  expect(
    fold([change(1, 'U', { a: ['x', 'y'] }), change(2, 'U', { a: ['y', 'z'], b: [null, '1'] })], 'backward'),
  ).toEqual({
    kind: 'partial',
    set: { a: 'x', b: null },
  });
  expect(
    fold(
      [change(1, 'U', { a: ['x', 'y'] }), change(2, 'D', { id: '1', a: 'y', b: '2' }), change(3, 'I', { id: '1' })],
      'backward',
    ),
  ).toEqual({ kind: 'full', row: { id: '1', a: 'x', b: '2' } });
});

test('forward: what a record comes to', () => {
  expect(fold([change(1, 'U', { a: ['x', 'y'] }), change(2, 'U', { b: [null, '1'] })], 'forward')).toEqual({
    kind: 'partial',
    set: { a: 'y', b: '1' },
  });
  expect(
    fold(
      [change(1, 'D', { id: '1' }), change(2, 'I', { id: '1', a: null }), change(3, 'U', { a: [null, 'q'] })],
      'forward',
    ),
  ).toEqual({
    kind: 'full',
    row: { id: '1', a: 'q' },
  });
  expect(fold([change(1, 'I', { id: '1' }), change(2, 'D', { id: '1' })], 'forward')).toEqual({ kind: 'absent' });
});

test('a hole in the history is an error, not a guess', () => {
  expect(() => fold([change(1, 'D', { id: '1' }), change(2, 'U', { a: ['1', '2'] })], 'forward')).toThrow('has a hole');
  expect(() => fold([change(1, 'I', { id: '1' }), change(2, 'I', { id: '1' })], 'backward')).toThrow('has a hole');
});

test('a stream yields one net per record, and passes truncation marks', async () => {
  async function* changes() {
    yield change(1, 'I', { id: 'a' }, 'a');
    yield change(2, 'U', { v: ['1', '2'] }, 'b');
    yield change(3, 'U', { v: ['2', '3'] }, 'b');
    yield change(4, 'T', null, null, 2);
    yield change(5, 'D', { id: 'b' }, 'b', 2);
  }
  const nets: Net[] = [];
  for await (const net of foldStream(changes(), 'backward')) nets.push(net);
  expect(nets).toEqual([
    { table: 1, record: 'a', state: { kind: 'absent' } },
    { table: 1, record: 'b', state: { kind: 'partial', set: { v: '1' } } },
    { table: 2, record: 'b', state: { kind: 'full', row: { id: 'b' } } },
  ]);
});
