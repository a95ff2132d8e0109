import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { admit } from '../../core/schedules/admit.ts';
import { DEFAULT_SCHEDULES, define, defineAll } from '../../core/schedules/define.ts';
import { plan, shareOf } from '../../core/schedules/plan.ts';
import { dueMinutes, wallClock } from './oracle.ts';

const MINUTE = 60_000;
const idle = { waiting: 0, running: 0 };
const at = (time: string) => Date.parse(time);

test('nothing is due before its share of the spread has passed', () => {
  const schedule = define({ tenant: 'acme', type: 'full', cron: '0 2 * * *', spread: 60 });
  const share = shareOf(schedule);
  expect(share).toBeGreaterThan(0);
  const due = at('2026-03-01T02:00Z');
  const before = { plannedTo: at('2026-02-28T02:00Z'), ...idle };
  expect(plan(schedule, before, due + share - 1)).toEqual({
    plannedTo: before.plannedTo,
    nextRun: due + share,
    run: null,
  });
  expect(plan(schedule, before, due + share)).toEqual({
    plannedTo: due,
    nextRun: at('2026-03-02T02:00Z') + share,
    run: {
      due,
      startAfter: due + share,
      deadline: due + share + 60 * MINUTE,
      missed: 0,
      missedSince: null,
      skipped: null,
    },
  });
});

test('what was missed is made up for once', () => {
  const schedule = define({ type: 'incremental', cron: '0 * * * *' });
  const { run, plannedTo } = plan(schedule, { plannedTo: at('2026-03-01T02:00Z'), ...idle }, at('2026-03-04T10:20Z'));
  expect(run).toMatchObject({ due: at('2026-03-04T10:00Z'), missed: 79, missedSince: at('2026-03-01T03:00Z') });
  expect(plannedTo).toBe(at('2026-03-04T10:00Z'));
});

test.each([
  ['skip', { waiting: 0, running: 1 }, 'the run before it has not ended'],
  ['skip', { waiting: 1, running: 0 }, 'the run before it is still waiting to begin'],
  ['queue', { waiting: 0, running: 1 }, null],
  ['queue', { waiting: 1, running: 1 }, 'the run before it is still waiting to begin'],
] as const)('overlap %s with %j', (overlap, active, skipped) => {
  const schedule = define({ type: 'full', cron: '0 2 * * *', overlap });
  const { run } = plan(schedule, { plannedTo: at('2026-02-28T02:00Z'), ...active }, at('2026-03-01T02:00Z'));
  expect(run).toMatchObject({ due: at('2026-03-01T02:00Z'), skipped });
});

test('over two years, with a clock that jumps and stops, every time is run, skipped or stood for exactly once', () => {
  const [from, to] = [at('2026-01-01T00:00Z') / MINUTE, at('2028-01-01T00:00Z') / MINUTE];
  const random = fc.sample(fc.integer({ min: 1, max: 100_000 }), { numRuns: 20_000, seed: 7 });
  for (const zone of ['Europe/London', 'America/Sao_Paulo', 'Australia/Sydney']) {
    const walls = wallClock(zone, from, to);
    for (const written of DEFAULT_SCHEDULES) {
      const schedule = define({ ...written, timeZone: zone, ...(written.type === 'full' ? { spread: 120 } : {}) });
      const due = dueMinutes(schedule.cron, walls, from).map((minute) => minute * MINUTE);
      let plannedTo = from * MINUTE;
      let [accounted, last] = [0, 0];
      let draw = 0;
      const wrong: unknown[] = []; // thousands of calls of expect take long
      for (let now = plannedTo; now < (to - 3000) * MINUTE; ) {
        const { run, nextRun, plannedTo: reached } = plan(schedule, { plannedTo, ...idle }, now);
        if (run) {
          const right = due[accounted + run.missed] === run.due && run.due > last;
          if (!right || run.missedSince !== (run.missed > 0 ? due[accounted] : null)) wrong.push(run);
          accounted += run.missed + 1;
          last = run.due;
        }
        plannedTo = reached;
        if (nextRun <= now) wrong.push(nextRun);
        // Mostly on the minute; now and then asleep for hours or weeks.
        const jump = random[draw++ % random.length]!;
        now = jump % 9 === 0 ? now + jump * 500 : jump % 7 === 0 ? nextRun + (jump % 50) * 1000 : nextRun;
      }
      expect(wrong).toEqual([]);
      expect(accounted).toBe(due.filter((t) => t <= plannedTo).length);
      expect(accounted).toBeGreaterThan(10);
    }
  }
});

test('shares are spread evenly, and stay the same', () => {
  const shares = Array.from({ length: 6000 }, (_, i) =>
    shareOf(define({ tenant: `tenant ${i}`, type: 'full', cron: '0 2 * * *', spread: 60 })),
  );
  const perMinute = new Array(60).fill(0);
  for (const share of shares) perMinute[Math.floor(share / MINUTE)] += 1;
  expect(Math.max(...perMinute)).toBeLessThan(150);
  expect(Math.min(...perMinute)).toBeGreaterThan(60);
  expect(shareOf({ tenant: 'tenant 0', name: 'full', spread: 60 })).toBe(shares[0]);
});

test('the nearest deadline goes first, one in each lane, as many as there are slots', () => {
  const run = (id: string, deadline: number, lane = id) => ({ id, deadline, lane });
  const waiting = [run('10', 5), run('9', 5), run('3', 1, 'a'), run('4', 2, 'a'), run('5', 9, 'b')];
  expect(admit(waiting, [], 3).map((r) => r.id)).toEqual(['3', '9', '10']);
  expect(admit(waiting, ['a'], 9).map((r) => r.id)).toEqual(['9', '10', '5']);
  expect(admit(waiting, [], 0)).toEqual([]);
  expect(admit(waiting, [], -1)).toEqual([]);
});

test('names that are left out are made up, and no two schedules of a tenant share one', () => {
  const cron = '0 2 * * *';
  const names = (...list: Parameters<typeof defineAll>[0]) => defineAll(list).map((d) => d.name);
  expect(names({ type: 'full', cron }, { type: 'full', cron }, { name: 'full-2', type: 'full', cron })).toEqual([
    'full',
    'full-3',
    'full-2',
  ]);
  expect(names({ type: 'full', cron }, { type: 'full', cron, tenant: 'a' })).toEqual(['full', 'full']);
  expect(() => names({ name: 'x', type: 'full', cron }, { name: 'x', type: 'full', cron })).toThrow(
    'no other schedule',
  );
});
