import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  applyRetention,
  GRANDFATHER_FATHER_SON,
  lastDays,
  type RetainedBackup,
  type RetentionPolicy,
  THIRTY_AND_NINETY,
  weekOf,
} from '../../core/snapshot/retention.ts';

const DAY = 86_400_000;
const NOW = '2026-11-21T12:00:00.000000Z';
const at = (daysAgo: number): string => new Date(Date.parse(NOW) - daysAgo * DAY).toISOString().replace('Z', '000Z');
const ids = (list: readonly { id: string }[]): string[] => list.map((b) => b.id);

/** A full every `every` days, an incremental on the others, one backup a day for `days` days. */
function daily(days: number, every: number): RetainedBackup[] {
  const backups: RetainedBackup[] = [];
  for (let ago = days; ago >= 0; ago--) {
    const previous = backups.at(-1);
    const full = (days - ago) % every === 0;
    backups.push({
      id: `d${ago}`,
      tenant: null,
      type: full ? 'full' : 'incremental',
      parent: previous?.id ?? null,
      horizon: at(ago),
      logFrom: previous?.horizon ?? at(ago + 0.01),
      ...(full ? { consistentFrom: at(ago) } : {}),
    });
  }
  return backups;
}

test('weeks are those of ISO 8601', () => {
  expect(weekOf({ horizon: '2026-01-01T00:00:00Z' })).toBe('2026-W01');
  expect(weekOf({ horizon: '2027-01-03T23:59:59Z' })).toBe('2026-W53');
  expect(weekOf({ horizon: '2024-12-30T00:00:00Z' })).toBe('2025-W01');
});

test('fulls only: 7 daily, 4 weekly, 12 monthly are what remains of two years', () => {
  const { keep, remove } = applyRetention(daily(730, 1), { rules: GRANDFATHER_FATHER_SON.rules }, NOW);
  expect(keep.length).toBeGreaterThanOrEqual(7 + 2 + 10);
  expect(keep.length).toBeLessThanOrEqual(7 + 4 + 12);
  expect(ids(keep).slice(0, 7)).toEqual(['d0', 'd1', 'd2', 'd3', 'd4', 'd5', 'd6']);
  expect(keep.length + remove.length).toBe(731);
});

test('30 days daily and 90 days weekly', () => {
  const { keep } = applyRetention(daily(200, 1), { rules: THIRTY_AND_NINETY.rules }, NOW);
  const ages = ids(keep).map((id) => Number(id.slice(1)));
  expect(ages.filter((age) => age <= 30)).toHaveLength(31);
  expect(ages.filter((age) => age > 30).length).toBeGreaterThanOrEqual(8);
  expect(Math.max(...ages)).toBeLessThanOrEqual(90);
});

test('the last backup is never removed, however old', () => {
  const only = daily(0, 1).map((b) => ({ ...b, horizon: at(4000), consistentFrom: at(4000) }));
  expect(applyRetention(only, lastDays(1), NOW).remove).toEqual([]);
});

test('a rule for one type leaves the others to their own rules', () => {
  const logs: RetainedBackup[] = daily(20, 10).map((b) => (b.type === 'full' ? b : { ...b, type: 'transaction_log' }));
  const { remove } = applyRetention(
    logs,
    {
      rules: [
        { types: ['full'], daily: 3 },
        { types: ['transaction_log'], allForDays: 2 },
      ],
    },
    NOW,
  );
  expect(ids(remove)).toContain('d15'); // d3 to d9 stay: d2 stands on them
  expect(ids(remove)).not.toContain('d0');
});

describe('properties', () => {
  const history = fc
    .array(
      fc.record({
        type: fc.constantFrom('full', 'incremental', 'differential', 'transaction_log' as const),
        tenant: fc.constantFrom(null, 'a'),
        gap: fc.integer({ min: 1, max: 72 }),
        hold: fc.integer({ min: 0, max: 30 }),
        locked: fc.integer({ min: 0, max: 30 }),
      }),
      { maxLength: 80 },
    )
    .map((steps) => {
      const backups: RetainedBackup[] = [];
      const hours = steps.reduce((sum, step) => sum + step.gap, 0);
      let passed = 0;
      steps.forEach((step, i) => {
        passed += step.gap;
        const horizon = at((hours - passed) / 24);
        const before = backups.filter((b) => b.tenant === step.tenant);
        const full = before.findLast((b) => b.type === 'full');
        const type = full ? step.type : 'full';
        const parent = type === 'differential' ? full : before.at(-1);
        backups.push({
          id: `b${i}`,
          tenant: step.tenant,
          type: type as RetainedBackup['type'],
          parent: parent?.id ?? null,
          horizon,
          logFrom: parent?.horizon ?? horizon,
          ...(type === 'full' ? { consistentFrom: horizon } : {}),
          ...(step.hold === 0 ? { legalHold: true } : {}),
          ...(step.locked === 0 ? { lockedUntil: at(-1) } : {}),
        });
      });
      return backups;
    });
  const policy: fc.Arbitrary<RetentionPolicy> = fc.record({
    rules: fc.array(
      fc.record(
        { daily: fc.nat(8), weekly: fc.nat(4), monthly: fc.nat(4), allForDays: fc.nat(5) },
        { requiredKeys: [] },
      ),
      { maxLength: 2 },
    ),
    everyMomentForDays: fc.nat(20),
  });

  // Which moments a set of backups restores to, found by trying, not by the rules.
  const reaches = (backups: readonly RetainedBackup[], tenant: string | null, moment: number): boolean => {
    const own = backups.filter((b) => b.tenant === tenant);
    const start = own.filter((b) => b.consistentFrom !== undefined && Date.parse(b.consistentFrom) <= moment);
    return start.some((base) => {
      let end = Date.parse(base.horizon);
      for (let moved = true; end < moment && moved; ) {
        const next = own.filter((b) => Date.parse(b.logFrom) <= end && Date.parse(b.horizon) > end);
        moved = next.length > 0;
        for (const b of next) end = Math.max(end, Date.parse(b.horizon));
      }
      return end >= moment;
    });
  };

  test('what is kept restores, and every moment in the window that was reachable still is', () => {
    fc.assert(
      fc.property(history, policy, (backups, rules) => {
        const { keep, remove } = applyRetention(backups, rules, NOW);
        const kept = backups.filter((b) => ids(keep).includes(b.id));
        expect([...ids(keep), ...ids(remove)].sort()).toEqual(ids(backups).sort());
        for (const b of kept) {
          expect(reaches(kept, b.tenant, Date.parse(b.horizon))).toBe(true);
          if (b.type !== 'full') expect(ids(kept)).toContain(b.parent);
        }
        for (const b of backups) if (b.legalHold || b.lockedUntil) expect(ids(kept)).toContain(b.id);
        for (const tenant of [null, 'a']) {
          for (let hours = 0; hours <= (rules.everyMomentForDays ?? 0) * 24; hours += 7) {
            const moment = Date.parse(NOW) - hours * 3_600_000;
            if (reaches(backups, tenant, moment)) expect(reaches(kept, tenant, moment)).toBe(true);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test('removing in the order given never leaves a backup without what it needs', () => {
    fc.assert(
      fc.property(history, policy, (backups, rules) => {
        const left = new Map(backups.map((b) => [b.id, b]));
        for (const { id } of applyRetention(backups, rules, NOW).remove) {
          left.delete(id);
          for (const b of left.values()) if (b.type !== 'full') expect(left.has(b.parent!)).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('deciding again after the removal removes nothing more', () => {
    fc.assert(
      fc.property(history, policy, (backups, rules) => {
        const { keep } = applyRetention(backups, rules, NOW);
        const again = applyRetention(
          backups.filter((b) => ids(keep).includes(b.id)),
          rules,
          NOW,
        );
        expect(again.remove).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});
