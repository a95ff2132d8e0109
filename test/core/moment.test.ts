import { expect, test } from '@jest/globals';
import { formatMoment, parseMoment } from '../../core/moment.ts';

test.each([
  ['2026-03-01T14:05:09.123456Z', '2026-03-01T14:05:09.123456Z'],
  ['2026-03-01 14:05:09.5+02', '2026-03-01T12:05:09.500000Z'],
  ['2026-03-01', '2026-03-01T00:00:00.000000Z'],
  ['1969-12-31T23:59:59.999999Z', '1969-12-31T23:59:59.999999Z'],
])('reads %s to the microsecond', (text, expected) => {
  expect(formatMoment(parseMoment(text))).toBe(expected);
});

test.each(['yesterday', '2026-02-31T00:00:00Z', '2026-01-01T25:00:00Z', ''])('refuses %j', (text) => {
  expect(() => parseMoment(text)).toThrow(expect.objectContaining({ code: 'HF_TIME_INVALID' }));
});
