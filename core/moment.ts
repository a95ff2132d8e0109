/**
 * A moment is a point in time in microseconds since the Unix epoch, PostgreSQL's own resolution. JavaScript's Date keeps
 * only milliseconds and would merge transactions that committed apart, so moments are bigints and travel as text.
 */
import { ConfigError } from './errors.ts';

export type Moment = bigint;

const ISO =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6}))?)?)?\s*(Z|UTC|[+-]\d{2}(?::?\d{2})?)?$/i;

/** Reads ISO 8601 (or PostgreSQL's ISO output), to the microsecond; without an offset it is UTC. */
export function parseMoment(text: string): Moment {
  const m = ISO.exec(text.trim());
  const fail = () =>
    new ConfigError('HF_TIME_INVALID', `"${text}" is not a time that Holdfast can read.`, {
      action: 'Write it as 2026-03-01T14:05:09.123456Z, or with an offset such as +02:00.',
      details: { got: text },
    });
  if (!m) throw fail();
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone = 'Z'] = m;
  const ms = Date.UTC(+year!, +month! - 1, +day!, +hour, +minute, +second);
  const back = new Date(ms);
  // Date.UTC rolls 31 February over into March; a target time must be refused instead.
  if (back.getUTCMonth() !== +month! - 1 || back.getUTCDate() !== +day! || +hour > 23 || +minute > 59 || +second > 59)
    throw fail();
  const micros = BigInt(ms) * 1000n + BigInt(fraction.padEnd(6, '0') || '0');
  return micros - BigInt(offsetMinutes(zone)) * 60_000_000n;
}

function offsetMinutes(zone: string): number {
  const z = /^([+-])(\d{2}):?(\d{2})?$/.exec(zone);
  if (!z) return 0;
  const minutes = Number(z[2]) * 60 + Number(z[3] ?? 0);
  return z[1] === '-' ? -minutes : minutes;
}

/** `2026-03-01T14:05:09.123456Z`: always UTC, always six digits, so that text order is time order. */
export function formatMoment(moment: Moment): string {
  const micros = ((moment % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const seconds = (moment - micros) / 1_000_000n;
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${micros.toString().padStart(6, '0')}Z`;
}

export const momentFromDate = (date: Date): Moment => BigInt(date.getTime()) * 1000n;
