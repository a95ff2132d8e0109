/** The five fields of crontab(5): minute, hour, day of the month, month, day of the week. */
import { ConfigError } from '../errors.ts';

export interface Cron {
  /** As it was written, with single spaces. */
  readonly text: string;
  /** Ascending. */
  readonly minutes: readonly number[];
  /** Ascending. */
  readonly hours: readonly number[];
  /** By day of the month, 1 to 31. */
  readonly days: readonly boolean[];
  /** 1 to 12. */
  readonly months: readonly boolean[];
  /** 0 is Sunday. */
  readonly weekdays: readonly boolean[];
  /** Every hour of the day: such a schedule goes by the time that passes, not by what the clock on the wall shows. */
  readonly everyHour: boolean;
}

interface Field {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly names?: readonly string[];
}

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
export const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
const LONGEST = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const FIELDS: readonly Field[] = [
  { name: 'minute', from: 0, to: 59 },
  { name: 'hour', from: 0, to: 23 },
  { name: 'day of the month', from: 1, to: 31 },
  { name: 'month', from: 1, to: 12, names: ['', ...MONTHS] },
  // 7 is Sunday too.
  { name: 'day of the week', from: 0, to: 7, names: WEEKDAYS },
];

/**
 * Reads numbers, names of months and days, `*`, lists, ranges and steps.
 * @throws ConfigError HF_CRON_INVALID; also for a day of the month together with a day of the week (crontab takes either,
 * EventBridge has no words for it, and few who write it mean it), and for a date that no year has
 */
export function parseCron(text: string): Cron {
  const written = text.trim().split(/\s+/);
  if (written.length !== 5 || written[0] === '') fail(text, 'five fields, such as "0 2 * * 0"');
  const [minutes, hours, days, months, week] = written.map((field, i) => parseField(text, FIELDS[i]!, field)) as [
    boolean[],
    boolean[],
    boolean[],
    boolean[],
    boolean[],
  ];
  const weekdays = week.slice(0, 7).map((on, day) => on || (day === 0 && week[7]!));
  if (!days.slice(1).every(Boolean) && !weekdays.every(Boolean)) {
    fail(text, 'a day of the month or a day of the week, not both: make two schedules');
  }
  if (!months.some((on, month) => on && days.some((day, n) => day && n <= LONGEST[month - 1]!))) {
    fail(text, 'a date that some year has');
  }
  return Object.freeze({
    text: written.join(' '),
    minutes: listed(minutes),
    hours: listed(hours),
    days,
    months,
    weekdays,
    everyHour: hours.every(Boolean),
  });
}

const listed = (set: readonly boolean[]): number[] => set.flatMap((on, n) => (on ? [n] : []));

/** Whether each number from 0 to the field's last is meant. */
function parseField(text: string, field: Field, written: string): boolean[] {
  const set = new Array<boolean>(field.to + 1).fill(false);
  for (const part of written.split(',')) {
    const [, range, step] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(part) ?? [];
    const by = step === undefined ? 1 : Number(step);
    if (range === undefined || by === 0)
      return fail(text, `for the ${field.name} something like "5", "1-5", "*/2" or a list of them`);
    const bounds = range.split('-');
    const from = range === '*' ? field.from : number(text, field, bounds[0]!);
    // As crontab has it, a step after a single number would be ignored; who writes 5/10 means from 5 on.
    const to =
      range === '*' || (bounds.length === 1 && step !== undefined) ? last(field) : number(text, field, bounds.at(-1)!);
    if (bounds.length > 2 || from > to)
      return fail(text, `for the ${field.name} a range that goes up; write 22-6 as 22-23,0-6`);
    for (let n = from; n <= to; n += by) set[n] = true;
  }
  return set;
}

const last = (field: Field): number => (field.names === WEEKDAYS ? 6 : field.to);

function number(text: string, field: Field, written: string): number {
  const named = field.names?.indexOf(written.toUpperCase()) ?? -1;
  if (named >= 0 && written !== '') return named;
  const value = /^\d{1,2}$/.test(written) ? Number(written) : Number.NaN;
  if (value >= field.from && value <= field.to) return value;
  return fail(
    text,
    `a number from ${field.from} to ${field.to}${field.names ? ' or a name' : ''} for the ${field.name}, not "${written}"`,
  );
}

function fail(text: string, expected: string): never {
  throw new ConfigError(
    'HF_CRON_INVALID',
    `"${text}" is not a cron expression that Holdfast runs: expected ${expected}.`,
    {
      action:
        'Write minute, hour, day of the month, month and day of the week, such as "0 2 * * 0" for Sundays at 02:00.',
      details: { expected, got: text },
    },
  );
}
