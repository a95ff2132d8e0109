/** A schedule's times in the words of EventBridge Scheduler. */
import { type Cron, parseCron, WEEKDAYS } from '../../core/schedules/cron.ts';
import { offsetAt } from '../../core/schedules/zone.ts';

const HOUR = 3_600_000;

/**
 * Its six fields begin with ours; Sunday is 1 there, one of day-of-month and day-of-week is `?`, and the year comes last. Steps and
 * ranges are written out as what they come to.
 *
 * What goes by every hour is told in UTC, wherever the zone is whole hours away: in a zone of its own, Scheduler would leave out the
 * second of the two hours that a clock shows alike when it is turned back.
 * @throws ConfigError HF_CRON_INVALID, HF_TIME_ZONE_UNKNOWN
 */
export function scheduleTime(
  text: string,
  timeZone: string,
): { readonly expression: string; readonly timeZone: string } {
  const cron = parseCron(text);
  const monthly = !cron.days.slice(1).every(Boolean);
  const weekly = !cron.weekdays.every(Boolean);
  const months = cron.months.slice(1).every(Boolean) ? '*' : ranges(numbers(cron.months));
  const day = weekly ? '?' : monthly ? ranges(numbers(cron.days)) : '*';
  const weekday = weekly ? WEEKDAYS.filter((_, n) => cron.weekdays[n]).join(',') : '?';
  const minutes = cron.minutes.length === 60 ? '*' : ranges(cron.minutes);
  const hours = cron.everyHour ? '*' : ranges(cron.hours);
  return {
    expression: `cron(${minutes} ${hours} ${day} ${months} ${weekday} *)`,
    timeZone: byTheHour(cron, monthly || weekly || months !== '*') && wholeHours(timeZone) ? 'UTC' : timeZone,
  };
}

const numbers = (set: readonly boolean[]): number[] => set.flatMap((on, n) => (on ? [n] : []));

/** `1-5,9`: what lies beside each other as a range. */
function ranges(sorted: readonly number[]): string {
  const parts: [number, number][] = [];
  for (const n of sorted) {
    const last = parts.at(-1);
    if (last && last[1] === n - 1) last[1] = n;
    else parts.push([n, n]);
  }
  return parts
    .map(([from, to]) => (from === to ? `${from}` : to === from + 1 ? `${from},${to}` : `${from}-${to}`))
    .join(',');
}

const byTheHour = ({ everyHour }: Cron, onSomeDays: boolean): boolean => everyHour && !onSomeDays;

/** In every month of one year; which does not matter, but that it is always the same: templates must not change with the day. */
const wholeHours = (zone: string): boolean =>
  Array.from({ length: 12 }, (_, month) => offsetAt(zone, Date.UTC(2026, month, 15))).every((o) => o % HOUR === 0);
