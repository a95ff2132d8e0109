/** What to do about one schedule at one moment: a function of data to data. */
import { hash } from 'node:crypto';
import { type Cron, parseCron } from './cron.ts';
import { occurrencesBetween } from './occurrences.ts';
import type { Definition } from './types.ts';

const MINUTE = 60_000;

/** What the planner remembers of a schedule. */
export interface Progress {
  /** Everything that came due up to here has its run. */
  readonly plannedTo: number;
  /** Runs of it that have not ended. */
  readonly waiting: number;
  readonly running: number;
}

export interface PlannedRun {
  readonly due: number;
  readonly startAfter: number;
  readonly deadline: number;
  readonly missed: number;
  readonly missedSince: number | null;
  /** Why it is not to run. */
  readonly skipped: string | null;
}

export interface Plan {
  readonly plannedTo: number;
  /** When to look again. */
  readonly nextRun: number;
  readonly run: PlannedRun | null;
}

/**
 * However many times went by since the last look, they make one run: the latest, which says how many it stands for.
 */
export function plan(definition: Definition, progress: Progress, now: number): Plan {
  const share = shareOf(definition);
  const { plannedTo } = progress;
  const { count, first, last, next } = occurrencesBetween(
    cronOf(definition.cron),
    definition.timeZone,
    plannedTo,
    now - share,
  );
  const nextRun = next + share;
  if (count === 0) return { plannedTo, nextRun, run: null };
  const startAfter = last + share;
  const run: PlannedRun = {
    due: last,
    startAfter,
    deadline: startAfter + definition.grace * MINUTE,
    missed: count - 1,
    missedSince: count > 1 ? first : null,
    skipped: overlapping(definition, progress),
  };
  return { plannedTo: last, nextRun, run };
}

function overlapping({ overlap }: Definition, { waiting, running }: Progress): string | null {
  if (waiting > 0) return 'the run before it is still waiting to begin';
  if (running > 0 && overlap === 'skip') return 'the run before it has not ended';
  return null;
}

/**
 * Milliseconds after the cron time at which a schedule's runs start: the same each time, so that its runs stay evenly apart, and
 * scattered over the schedules, so that they do not start together.
 */
export function shareOf(definition: Pick<Definition, 'tenant' | 'name' | 'spread'>): number {
  const { tenant, name, spread } = definition;
  if (spread === 0) return 0;
  const scattered = hash('sha256', JSON.stringify([tenant, name]), 'buffer');
  return Math.floor((scattered.readUInt32BE(0) / 2 ** 32) * spread * 60) * 1000;
}

const crons = new Map<string, Cron>();

/** Many schedules share few expressions. */
export function cronOf(text: string): Cron {
  const known = crons.get(text);
  if (known) return known;
  const cron = parseCron(text);
  crons.set(text, cron);
  return cron;
}
