import { expect, test } from '@jest/globals';
import { Cron as Croner } from 'croner';
import { parseCron } from '../../core/schedules/cron.ts';
import { nextOccurrence, occurrencesBetween } from '../../core/schedules/occurrences.ts';
import { dueMinutes, wallClock } from './oracle.ts';

const MINUTE = 60_000;
const EXPRESSIONS = [
  '0 2 * * 0',
  '30 2 * * *',
  '15,45 1-3 * * *',
  '0 9-17 * * 1-5',
  '0 */4 * * *',
  '*/10 * * * *',
  '7 * * * mon',
  '0 5 1 * *',
  '0 3 29 2 *',
  '0 4 1 1,4,7,10 *',
  '*/20 0 * * 5-7',
  '30 0 31 * *',
];
// As everybody knows it; half an hour of summer time; changes at midnight; a winter in Ramadan; the other half of the year; none; quarters.
const ZONES = [
  'Europe/Berlin',
  'America/New_York',
  'Australia/Lord_Howe',
  'Africa/Cairo',
  'Africa/Casablanca',
  'Asia/Kathmandu',
];

test.each(ZONES)('two years in %s, minute by minute', (zone) => {
  const [from, to] = [Date.UTC(2026, 0, 1) / MINUTE, Date.UTC(2028, 0, 1) / MINUTE];
  const walls = wallClock(zone, from, to);
  for (const text of EXPRESSIONS) {
    const cron = parseCron(text);
    const expected = dueMinutes(text, walls, from);
    const got: number[] = [];
    for (let at = nextOccurrence(cron, zone, from * MINUTE); at < to * MINUTE; at = nextOccurrence(cron, zone, at)) {
      got.push(at / MINUTE);
    }
    expect({ text, ...difference(got, expected) }).toEqual({ text });
    const span = occurrencesBetween(cron, zone, from * MINUTE, to * MINUTE - 1);
    const ends = [expected[0] ?? from, expected.at(-1) ?? from].map((minute) => minute * MINUTE);
    expect([span.count, span.first, span.last]).toEqual([expected.length, ...ends]);
    expect(span.next).toBeGreaterThanOrEqual(to * MINUTE);
  }
});

/** Jest takes long to compare a hundred thousand numbers. */
function difference(got: readonly number[], expected: readonly number[]): { got?: string; expected?: string } {
  const shown = (minute: number | undefined) =>
    minute === undefined ? 'nothing' : new Date(minute * MINUTE).toISOString();
  for (let i = 0; i < Math.max(got.length, expected.length); i += 1) {
    if (got[i] !== expected[i]) return { got: shown(got[i]), expected: shown(expected[i]) };
  }
  return {};
}

const next = (text: string, zone: string, after: string, count = 1): string[] => {
  const found: string[] = [];
  for (let at = Date.parse(after); found.length < count; ) {
    at = nextOccurrence(parseCron(text), zone, at);
    found.push(new Date(at).toISOString().slice(0, 16));
  }
  return found;
};

test('in the gap of spring: once, at the first instant after it', () => {
  expect(next('30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', 2)).toEqual(['2026-03-29T01:00', '2026-03-30T00:30']);
  expect(next('15,30,45 2 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', 2)).toEqual([
    '2026-03-29T01:00',
    '2026-03-30T00:15',
  ]);
  // 03:00 is due there anyway: once, not twice.
  expect(next('0 2,3 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', 2)).toEqual([
    '2026-03-29T01:00',
    '2026-03-30T00:00',
  ]);
  expect(next('30 0 * * *', 'Africa/Cairo', '2026-04-23T12:00Z')).toEqual(['2026-04-23T22:00']);
});

test('in the hour that autumn shows twice: the first time, unless it goes by every hour', () => {
  expect(next('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00Z', 2)).toEqual(['2026-10-25T00:30', '2026-10-26T01:30']);
  expect(next('30 * * * *', 'Europe/Berlin', '2026-10-24T23:50Z', 3)).toEqual([
    '2026-10-25T00:30',
    '2026-10-25T01:30',
    '2026-10-25T02:30',
  ]);
  // Asked from inside the second showing, what the first one had is over.
  expect(next('45 2 * * *', 'Europe/Berlin', '2026-10-25T01:10Z')).toEqual(['2026-10-26T01:45']);
});

test('a day that a zone left out is made up for at its end', () => {
  expect(next('0 2 * * *', 'Pacific/Apia', '2011-12-29T13:00Z', 2)).toEqual(['2011-12-30T10:00', '2011-12-30T12:00']);
});

test('29 February, also over a century without one', () => {
  expect(next('0 2 29 2 *', 'UTC', '2096-03-01T00:00Z', 2)).toEqual(['2104-02-29T02:00', '2108-02-29T02:00']);
});

test('where no clock changes, croner says the same', () => {
  for (const text of EXPRESSIONS) {
    const peer = new Croner(text, { timezone: 'Asia/Tokyo', paused: true });
    const runs = peer.nextRuns(20, new Date('2026-02-01T00:00:00Z')).map((date) => date.toISOString().slice(0, 16));
    expect(next(text, 'Asia/Tokyo', '2026-02-01T00:00Z', 20)).toEqual(runs);
  }
});

test('every way to write a field', () => {
  const cron = parseCron(' 1-10/3,59   */6 1 JAN-mar,12 * ');
  expect(cron.text).toBe('1-10/3,59 */6 1 JAN-mar,12 *');
  expect(cron.minutes).toEqual([1, 4, 7, 10, 59]);
  expect(cron.hours).toEqual([0, 6, 12, 18]);
  expect(cron.months.flatMap((on, n) => (on ? [n] : []))).toEqual([1, 2, 3, 12]);
  expect(parseCron('5/20 * * * *').minutes).toEqual([5, 25, 45]);
  for (const sunday of ['0', '7', 'sun', '5-7']) expect(parseCron(`0 0 * * ${sunday}`).weekdays[0]).toBe(true);
  expect(parseCron('0 0-23 * * *').everyHour).toBe(true);
});

test.each([
  ['', 'five fields'],
  ['0 2 * *', 'five fields'],
  ['0 2 * * * *', 'five fields'],
  ['60 2 * * *', 'from 0 to 59 for the minute, not "60"'],
  ['0 24 * * *', 'from 0 to 23 for the hour'],
  ['0 2 0 * *', 'from 1 to 31'],
  ['0 2 * 13 *', '1 to 12 or a name for the month, not "13"'],
  ['0 2 * * 8', 'from 0 to 7'],
  ['0 22-6 * * *', 'write 22-6 as 22-23,0-6'],
  ['*/0 * * * *', 'for the minute something like'],
  ['1-2-3 * * * *', 'goes up'],
  ['0 2 L * *', 'not "L"'],
  ['0 2 , * *', 'like "5"'],
  ['0 2 1 * 0', 'make two schedules'],
  ['0 2 31 2,4 *', 'a date that some year has'],
  ['@daily', 'five fields'],
  ['0.5 2 * * *', 'not "0.5"'],
])('refuses %j: %s', (text, message) => {
  expect(() => parseCron(text)).toThrow(expect.objectContaining({ code: 'HF_CRON_INVALID' }));
  expect(() => parseCron(text)).toThrow(message);
});

test.each(['Europe/Pariss', '', '+02:00', 'Local'])('refuses the zone %j', (zone) => {
  expect(() => nextOccurrence(parseCron('0 2 * * *'), zone, 0)).toThrow(
    expect.objectContaining({ code: 'HF_TIME_ZONE_UNKNOWN' }),
  );
});
