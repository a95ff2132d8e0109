/**
 * Which backups may go. Pure: data in, data out, and every decision has a reason. The rules name backups worth keeping;
 * what those need to be restored is kept with them.
 */
import type { BackupType } from './types.ts';

/** What retention knows of a backup. Times are UTC, ISO 8601. */
export interface RetainedBackup {
  readonly id: string;
  /** null: the whole database. Rules apply to each tenant's backups on their own. */
  readonly tenant: string | null;
  readonly type: BackupType;
  readonly parent: string | null;
  /** The latest moment that it restores to. */
  readonly horizon: string;
  /** Where its log begins: moments from here to `horizon` need it. */
  readonly logFrom: string;
  /** Fulls: the first moment that they restore to without the backups before them. */
  readonly consistentFrom?: string;
  readonly legalHold?: boolean;
  /** Objects are locked until then. */
  readonly lockedUntil?: string;
}

export interface RetentionRule {
  /** Which backups this rule counts. @default all types */
  readonly types?: readonly BackupType[];
  /** The newest of each of the last so many days (UTC) that have one. */
  readonly daily?: number;
  /** The same by ISO week. */
  readonly weekly?: number;
  readonly monthly?: number;
  /** The newest of each day within so many days before now; likewise by week. */
  readonly dailyForDays?: number;
  readonly weeklyForDays?: number;
  /** Every backup younger than this. */
  readonly allForDays?: number;
}

export interface RetentionPolicy {
  readonly rules: readonly RetentionRule[];
  /** Every moment within so many days before now stays reachable. @default 0 */
  readonly everyMomentForDays?: number;
}

/** 7 daily, 4 weekly, 12 monthly; any moment of the last 7 days. */
export const GRANDFATHER_FATHER_SON: RetentionPolicy = Object.freeze({
  rules: [{ daily: 7, weekly: 4, monthly: 12 }],
  everyMomentForDays: 7,
});

/** Daily for 30 days, weekly for 90. */
export const THIRTY_AND_NINETY: RetentionPolicy = Object.freeze({
  rules: [{ dailyForDays: 30, weeklyForDays: 90 }],
  everyMomentForDays: 30,
});

/** Everything of the last so many days, to any moment. */
export const lastDays = (days: number): RetentionPolicy => ({
  rules: [{ allForDays: days }],
  everyMomentForDays: days,
});

export interface Retention {
  readonly keep: readonly { readonly id: string; readonly reasons: readonly string[] }[];
  /** Newest first, so that no backup is ever without what it needs while the list is worked off. */
  readonly remove: readonly { readonly id: string; readonly reason: string }[];
}

const DAY = 86_400_000;

/** Decides for backups of any number of tenants at once. `now` is UTC, ISO 8601. */
export function applyRetention(backups: readonly RetainedBackup[], policy: RetentionPolicy, now: string): Retention {
  const reasons = new Map<string, string[]>();
  const byId = new Map(backups.map((b) => [b.id, b]));
  const keep = (b: RetainedBackup, reason: string): void => {
    const known = reasons.get(b.id);
    if (known) known.push(reason);
    else reasons.set(b.id, [reason]);
  };
  const scopes = new Map<string | null, RetainedBackup[]>();
  for (const b of backups) scopes.set(b.tenant, [...(scopes.get(b.tenant) ?? []), b]);
  for (const scope of scopes.values()) {
    scope.sort((a, b) => Date.parse(b.horizon) - Date.parse(a.horizon) || (a.id < b.id ? 1 : -1));
    if (scope[0]) keep(scope[0], 'it is the newest');
    const full = scope.find((b) => b.type === 'full');
    if (full) keep(full, 'it is the newest full');
    for (const rule of policy.rules) applyRule(scope, rule, now, keep);
    keepMoments(scope, policy.everyMomentForDays ?? 0, now, keep);
  }
  for (const b of backups) {
    if (b.legalHold) keep(b, 'it is under legal hold');
    if (b.lockedUntil !== undefined && b.lockedUntil > now) keep(b, `it is locked until ${b.lockedUntil}`);
  }
  keepNeeded(byId, reasons, keep);
  const newestFirst = [...backups].sort(
    (a, b) => Date.parse(b.horizon) - Date.parse(a.horizon) || (a.id < b.id ? 1 : -1),
  );
  return {
    keep: newestFirst.flatMap((b) => (reasons.has(b.id) ? [{ id: b.id, reasons: reasons.get(b.id)! }] : [])),
    remove: newestFirst.flatMap((b) =>
      reasons.has(b.id) ? [] : [{ id: b.id, reason: 'no rule keeps it and no kept backup needs it' }],
    ),
  };
}

type Keep = (backup: RetainedBackup, reason: string) => void;

function applyRule(newestFirst: readonly RetainedBackup[], rule: RetentionRule, now: string, keep: Keep): void {
  const counted = newestFirst.filter((b) => !rule.types || rule.types.includes(b.type));
  const within = (b: RetainedBackup, days: number) => Date.parse(now) - Date.parse(b.horizon) <= days * DAY;
  const periods = (of: (b: RetainedBackup) => string, limit: number, name: string, among = counted) => {
    const seen = new Set<string>();
    for (const b of among) {
      const period = of(b);
      if (seen.has(period)) continue;
      if (seen.size === limit) return;
      seen.add(period);
      keep(b, `it is the newest of ${name} ${period}`);
    }
  };
  periods(dayOf, rule.daily ?? 0, 'day');
  periods(weekOf, rule.weekly ?? 0, 'week');
  periods(monthOf, rule.monthly ?? 0, 'month');
  const young = (days: number | undefined) => (days === undefined ? [] : counted.filter((b) => within(b, days)));
  periods(dayOf, Number.POSITIVE_INFINITY, 'day', young(rule.dailyForDays));
  periods(weekOf, Number.POSITIVE_INFINITY, 'week', young(rule.weeklyForDays));
  for (const b of young(rule.allForDays)) keep(b, `it is younger than ${rule.allForDays} days`);
}

/** Logs whose moments lie in the window, and the newest full from which its first moment can be reached. */
function keepMoments(newestFirst: readonly RetainedBackup[], days: number, now: string, keep: Keep): void {
  if (days <= 0) return;
  const first = Date.parse(now) - days * DAY;
  const base = newestFirst.find((b) => b.consistentFrom !== undefined && Date.parse(b.consistentFrom) <= first);
  const from = base ? Date.parse(base.consistentFrom!) : Number.NEGATIVE_INFINITY;
  const reason = `moments of the last ${days} days need it`;
  for (const b of newestFirst) if (b === base || Date.parse(b.horizon) > from) keep(b, reason);
}

/** Up the chain from every kept backup to the full that it stands on. */
function keepNeeded(
  byId: ReadonlyMap<string, RetainedBackup>,
  reasons: ReadonlyMap<string, string[]>,
  keep: Keep,
): void {
  const queue = [...reasons.keys()];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    const backup = byId.get(id)!;
    const parent = backup.type === 'full' || backup.parent === null ? undefined : byId.get(backup.parent);
    if (!parent) continue;
    if (!reasons.has(parent.id)) queue.push(parent.id);
    keep(parent, `${id} needs it`);
  }
}

const dayOf = (b: RetainedBackup): string => b.horizon.slice(0, 10);
const monthOf = (b: RetainedBackup): string => b.horizon.slice(0, 7);

/** ISO 8601 week, `2026-W47`: the week of a day is that of its Thursday. */
export function weekOf(b: Pick<RetainedBackup, 'horizon'>): string {
  const day = new Date(`${b.horizon.slice(0, 10)}T00:00:00Z`);
  const thursday = new Date(day.getTime() + (4 - (day.getUTCDay() || 7)) * DAY);
  const first = Date.UTC(thursday.getUTCFullYear(), 0, 1);
  const week = Math.floor((thursday.getTime() - first) / DAY / 7) + 1;
  return `${thursday.getUTCFullYear()}-W${String(week).padStart(2, '0')}`;
}
