/**
 * When a cron expression comes due in a time zone. Instants are milliseconds since the Unix epoch.
 *
 * A time of day is meant once a day. Where clocks go forward over it, it comes due at the first instant after the gap; where they
 * go back and show it twice, the first time counts. An expression that names every hour goes by the time that passes instead: a
 * log backup of every ten minutes has to run in both of the two hours that the clock shows alike, and none is owed for an hour
 * that never was.
 */
import type { Cron } from './cron.ts';
import { periodsFrom } from './zone.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;
/** 29 February is at most eight years away (1896 to 1904, 2096 to 2104). */
const HORIZON = 9 * 366 * DAY;

/** The first instant after `after` at which it comes due; a whole minute of the wall clock. */
export function nextOccurrence(cron: Cron, zone: string, after: number): number {
  for (const { from, to, offset, before } of periodsFrom(zone, after)) {
    const start = from + offset; // on the wall
    const reached = from + before; // what the wall had shown by then
    if (!cron.everyHour && reached < start && after < from && nextWall(cron, reached) < start) return from;
    const earliest = Math.max(after + 1 + offset, start, cron.everyHour ? start : reached);
    const wall = nextWall(cron, earliest);
    if (wall < to + offset) return wall - offset;
    if (to - after > HORIZON) break;
  }
  throw new RangeError(`${cron.text} never comes due`); // parseCron refuses those
}

export interface Span {
  readonly count: number;
  /** Both are `after` when there is none. */
  readonly first: number;
  readonly last: number;
  /** The first one after `until`. */
  readonly next: number;
}

/** What comes due after `after`, up to and including `until`. */
export function occurrencesBetween(cron: Cron, zone: string, after: number, until: number): Span {
  let [first, last, count] = [after, after, 0];
  let next = nextOccurrence(cron, zone, after);
  for (; next <= until; next = nextOccurrence(cron, zone, next)) {
    if (count === 0) first = next;
    last = next;
    count += 1;
  }
  return { count, first, last, next };
}

/** The first wall-clock minute at or after `wall` that the expression names; both as if the wall showed UTC. */
function nextWall(cron: Cron, wall: number): number {
  const minute = Math.ceil(wall / MINUTE) * MINUTE;
  let day = Math.floor(minute / DAY) * DAY;
  if (dayMatches(cron, day)) {
    const at = timeFrom(cron, (minute - day) / MINUTE);
    if (at !== undefined) return day + at * MINUTE;
  }
  const end = day + HORIZON;
  for (day += DAY; day < end; day += DAY) {
    if (dayMatches(cron, day)) return day + (cron.hours[0]! * 60 + cron.minutes[0]!) * MINUTE;
  }
  return Number.POSITIVE_INFINITY;
}

function dayMatches(cron: Cron, day: number): boolean {
  // 1 January 1970 was a Thursday.
  if (!cron.weekdays[(((day / DAY + 4) % 7) + 7) % 7]) return false;
  const date = new Date(day);
  return cron.days[date.getUTCDate()]! && cron.months[date.getUTCMonth() + 1]!;
}

/** The first named minute of the day at or after `from`. */
function timeFrom(cron: Cron, from: number): number | undefined {
  const hour = Math.floor(from / 60);
  const minute = cron.minutes.find((m) => m >= from % 60);
  if (minute !== undefined && cron.hours.includes(hour)) return hour * 60 + minute;
  const later = cron.hours.find((h) => h > hour);
  return later === undefined ? undefined : later * 60 + cron.minutes[0]!;
}
