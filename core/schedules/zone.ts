/** When the clocks of a time zone are changed, worked out once a year and zone from the platform's own data. */
import { ConfigError } from '../errors.ts';

/** A stretch of time in which the offset from UTC stays the same. Milliseconds throughout. */
export interface Period {
  /** Inclusive, since the Unix epoch. */
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
  /** What the clock on the wall is ahead of UTC. */
  readonly offset: number;
  /** The offset just before `from`. */
  readonly before: number;
}

const DAY = 86_400_000;
/** No zone has changed its clocks twice within this. */
const STEP = 7 * DAY;

const clocks = new Map<string, Intl.DateTimeFormat>();
const years = new Map<string, readonly Period[]>();

/** @throws ConfigError HF_TIME_ZONE_UNKNOWN */
function clockOf(zone: string): Intl.DateTimeFormat {
  const known = clocks.get(zone);
  if (known) return known;
  const made = makeClock(zone);
  clocks.set(zone, made);
  return made;
}

function makeClock(zone: string): Intl.DateTimeFormat {
  try {
    // An offset such as +02:00 is taken by Intl, but not by EventBridge Scheduler.
    if (!/^[A-Za-z]/.test(zone)) throw new RangeError('not a name');
    return new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch (cause) {
    throw new ConfigError('HF_TIME_ZONE_UNKNOWN', `"${zone}" is not a time zone that is known here.`, {
      cause,
      action: 'Write an IANA name, such as Europe/Paris, America/New_York or UTC.',
      details: { got: zone },
    });
  }
}

/** @throws ConfigError HF_TIME_ZONE_UNKNOWN */
export function checkTimeZone(zone: string): void {
  clockOf(zone);
}

/** What the clock on the wall is ahead of UTC at an instant. */
export function offsetAt(zone: string, instant: number): number {
  const second = Math.floor(instant / 1000) * 1000;
  const parts: Record<string, number> = {};
  for (const { type, value } of clockOf(zone).formatToParts(second)) parts[type] = Number(value);
  const { year, month, day, hour, minute, second: s } = parts as Record<string, number>;
  return Date.UTC(year!, month! - 1, day!, hour!, minute!, s!) - second;
}

/** The periods from the one that holds `instant` on, without end. They are also cut where a year of UTC begins. */
export function* periodsFrom(zone: string, instant: number): Generator<Period> {
  for (let year = new Date(instant).getUTCFullYear(); ; year += 1) {
    for (const period of periodsOf(zone, year)) if (period.to > instant) yield period;
  }
}

function periodsOf(zone: string, year: number): readonly Period[] {
  const name = `${zone} ${year}`;
  const known = years.get(name);
  if (known) return known;
  const [begin, end] = [Date.UTC(year, 0, 1), Date.UTC(year + 1, 0, 1)];
  const periods: Period[] = [];
  let from = begin;
  let before = offsetAt(zone, begin - 1000);
  let offset = offsetAt(zone, begin);
  for (let at = begin; at < end; at += STEP) {
    const next = Math.min(at + STEP, end - 1000);
    const then = offsetAt(zone, next);
    if (then === offset) continue;
    const change = changeBetween(zone, at, next, offset);
    periods.push({ from, to: change, offset, before });
    [from, before, offset] = [change, offset, then];
  }
  periods.push({ from, to: end, offset, before });
  years.set(name, periods);
  return periods;
}

/** The first second after `low` at which the offset is no longer `offset`. */
function changeBetween(zone: string, low: number, high: number, offset: number): number {
  let [a, b] = [low, high];
  while (b - a > 1000) {
    const middle = Math.floor((a + b) / 2000) * 1000;
    if (offsetAt(zone, middle) === offset) a = middle;
    else b = middle;
  }
  return b;
}
