/** Schedules and their runs, for a person and for a program. */
import type { Run, Schedule } from '../core/schedules/types.ts';
import { green, printable, red, yellow } from './output.ts';

const iso = (instant: number | null): string | null =>
  instant === null ? null : new Date(instant).toISOString().replace('.000Z', 'Z');

export const scheduleJson = ({ lastRun, nextRun, ...rest }: Schedule) => ({
  ...rest,
  lastRun: iso(lastRun),
  nextRun: iso(nextRun),
});

export const runJson = (run: Run) => ({
  ...run,
  due: iso(run.due),
  startAfter: iso(run.startAfter),
  deadline: iso(run.deadline),
  missedSince: iso(run.missedSince),
  lateAt: iso(run.lateAt),
  startedAt: iso(run.startedAt),
  finishedAt: iso(run.finishedAt),
});

/** `2026-03-01 02:00`, in UTC or in a zone. */
export function clock(instant: number | null, timeZone = 'UTC'): string {
  if (instant === null) return '-';
  return new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' }).format(instant);
}

const COLOURS = { succeeded: green, failed: red, skipped: yellow, waiting: String, running: String } as const;

/** What became of a run, and what was wrong with it. */
export function outcome(run: Run): string {
  const notes = [
    ...(run.missed > 0 ? [`stands for ${run.missed} missed before it`] : []),
    ...(run.lateAt !== null ? ['late'] : []),
    ...(run.reason !== null ? [printable(run.reason)] : []),
    ...(run.error !== null ? [printable(`${run.error.code ?? ''} ${run.error.message}`.trim())] : []),
  ];
  return [COLOURS[run.state](run.state), ...notes].join('; ');
}
