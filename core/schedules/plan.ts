/** What to do about one schedule at one moment: a function of data to data. */
import { createHash } from 'node:crypto';
import { type Cron, parseCron } from './cron.ts';
import { nextOccurrence, occurrencesBetween } from './occurrences.ts';
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
 * @param patience milliseconds to leave to an outside clock before a run counts as due here. @default 0
 */
export function plan(definition: Definition, progress: Progress, now: number, patience = 0): Plan {
  const cron = cronOf(definition.cron);
  const share = shareOf(definition) + patience;
  const span = occurrencesBetween(cron, definition.timeZone, progress.plannedTo, now - share);
  const plannedTo = span?.last ?? progress.plannedTo;
  const nextRun = nextOccurrence(cron, definition.timeZone, plannedTo) + share;
  if (!span) return { plannedTo, nextRun, run: null };
  const run = runAt(definition, span.last, progress);
  const missed = span.count - 1;
  return { plannedTo, nextRun, run: { ...run, missed, missedSince: missed > 0 ? span.first : null } };
}

/** The run of one time that came due. */
export function runAt(
  definition: Definition,
  due: number,
  { waiting, running }: Omit<Progress, 'plannedTo'>,
): PlannedRun {
  const startAfter = due + shareOf(definition);
  return {
    due,
    startAfter,
    deadline: startAfter + definition.grace * MINUTE,
    missed: 0,
    missedSince: null,
    skipped: overlapping(definition, waiting, running),
  };
}

function overlapping({ overlap }: Definition, waiting: number, running: number): string | null {
  if (waiting > 0) return 'the run before it is still waiting to begin';
  if (running > 0 && overlap === 'skip') return 'the run before it has not ended';
  return null;
}

/**
 * Milliseconds after the cron time at which a schedule's runs start: the same each time, so that its runs stay evenly apart, and
 * scattered over the schedules, so that they do not start together.
 */
export function shareOf({ tenant, name, spread }: Pick<Definition, 'tenant' | 'name' | 'spread'>): number {
  if (spread === 0) return 0;
  const hash = createHash('sha256')
    .update(JSON.stringify([tenant, name]))
    .digest();
  return Math.floor((hash.readUInt32BE(0) / 2 ** 32) * spread * 60) * 1000;
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
