import { expect, test } from '@jest/globals';
import { parseMoment } from '../../core/moment.ts';
import { planChain } from '../../core/restore/chain.ts';
import type { BackupType, Manifest } from '../../core/snapshot/types.ts';

const at = (minute: number): string => `2026-01-01T00:${String(minute).padStart(2, '0')}:00.000000Z`;
const moment = (minute: number) => parseMoment(at(minute));

/** A backup whose log holds transactions `from` to `to`, one a minute. */
function manifest(id: string, type: BackupType, from: number, to: number, more: Partial<Manifest> = {}): Manifest {
  return {
    id,
    type,
    tenant: null,
    epoch: 'e1',
    excluded: [],
    horizon: at(to),
    log: { from: `${from}:${from}:`, to: `${to}:${to}:`, fromMoment: at(from), toMoment: at(to) },
    ...(type === 'full' ? { consistentFrom: at(to) } : {}),
    tables: [],
    ...more,
  } as unknown as Manifest;
}

const store = [
  manifest('full1', 'full', 1, 2),
  manifest('inc1', 'incremental', 2, 5),
  manifest('log1', 'transaction_log', 5, 8),
  manifest('diff1', 'differential', 2, 10),
  manifest('full2', 'full', 10, 20),
  manifest('log2', 'transaction_log', 20, 25),
];
const ids = (minute: number | undefined, manifests = store, tenant: string | null = null) =>
  planChain(manifests, { tenant, ...(minute === undefined ? {} : { moment: moment(minute) }) }).logs.map((m) => m.id);

test('the newest base that is consistent by then, and the fewest logs that reach', () => {
  expect(ids(undefined)).toEqual(['full2', 'log2']);
  expect(ids(22)).toEqual(['full2', 'log2']);
  expect(ids(20)).toEqual(['full2']);
  expect(ids(4)).toEqual(['full1', 'diff1']);
  // A full's log reaches back to the backup before it, so nothing is lost between two fulls.
  expect(ids(15)).toEqual(['full1', 'diff1', 'full2']);
});

test('what cannot be reached names the nearest moments that can', () => {
  const gap = store.filter((m) => m.id !== 'diff1' && m.id !== 'log1');
  expect(() => ids(7, gap)).toThrow(expect.objectContaining({ code: 'HF_TIME_UNREACHABLE' }));
  for (const [minute, before, after] of [
    [7, at(5), at(20)],
    [1, null, at(2)],
    [30, at(25), null],
  ] as const) {
    try {
      ids(minute, gap);
      throw new Error('reached');
    } catch (error) {
      expect(error).toMatchObject({ code: 'HF_TIME_UNREACHABLE', details: { nearest: { before, after } } });
    }
  }
});

test('backups of another tenant or another life of the database are not mixed in', () => {
  const others = [
    manifest('full1', 'full', 1, 2),
    manifest('foreign', 'incremental', 2, 5, { tenant: 'b' }),
    manifest('reborn', 'incremental', 2, 5, { epoch: 'e2' }),
    manifest('own', 'incremental', 2, 4, { tenant: 'a' }),
  ];
  expect(ids(undefined, others, 'a')).toEqual(['full1', 'own']);
  expect(ids(undefined, others)).toEqual(['full1']);
  expect(() => ids(undefined, [])).toThrow(expect.objectContaining({ code: 'HF_NO_BACKUP' }));
});

test('a base that left tables out is a last resort, and they are named', () => {
  const partial = [
    manifest('whole', 'full', 1, 2),
    manifest('part', 'full', 2, 3, { excluded: ['public.x'] }),
    manifest('log', 'incremental', 2, 6),
  ];
  expect(ids(6, partial)).toEqual(['whole', 'log']);
  const only = planChain([partial[1]!], { tenant: null });
  expect(only.excluded).toEqual(['public.x']);
});

test('a log that left tables out is followed only where nothing else reaches', () => {
  const partial = [
    manifest('full1', 'full', 1, 2),
    manifest('inc1', 'incremental', 2, 5),
    manifest('part', 'incremental', 2, 9, { excluded: ['public.notes'] }),
  ];
  expect(planChain(partial, { tenant: null })).toMatchObject({ moment: moment(5), excluded: [] });
  expect(planChain(partial, { tenant: null, moment: moment(8) })).toMatchObject({ excluded: ['public.notes'] });
});
