/** Tenants with the default schedules, and a clock that goes by the minute over the planner's own functions. */
import { admit, type Candidate } from '../../../core/schedules/admit.ts';
import { DEFAULT_SCHEDULES, define } from '../../../core/schedules/define.ts';
import { JOBS, laneOf } from '../../../core/schedules/jobs.ts';
import { type Plan, plan } from '../../../core/schedules/plan.ts';
import type { Definition } from '../../../core/schedules/types.ts';
import { Random } from '../../prove/suite.ts';

const MINUTE = 60_000;

/** Minutes that a run lasts on average, by type; a draw has an exponential tail, cut at eight times that. */
const LASTS: Readonly<Record<string, number>> = { full: 3, incremental: 0.5, transaction_log: 0.2 };

export class Fleet {
  readonly definitions: Definition[] = [];
  readonly random: Random;
  /** Places that are needed to keep up, on average over the busiest hour. */
  readonly load: number;

  /** @param spread minutes over which starts are spread */
  constructor(tenants: number, zones: readonly string[], seed: number, spread: number) {
    this.random = new Random(seed);
    const perTenant = DEFAULT_SCHEDULES.filter(({ type }) => JOBS[type as keyof typeof JOBS].perTenant);
    for (let i = 0; i < tenants; i += 1) {
      // Half of them in one zone: the worst that a spread over zones can be relied on for.
      const timeZone = i % 2 === 0 ? zones[0]! : this.random.pick(zones);
      for (const written of perTenant) {
        this.definitions.push(define({ ...written, tenant: `tenant-${seed}-${i}`, timeZone, spread }));
      }
    }
    // In the busiest hour half of the tenants and their share of the rest have a full and a log.
    const together = tenants * (0.5 + 0.5 / zones.length);
    this.load = (together * (LASTS.full! + LASTS.transaction_log!)) / 60;
  }

  lasts(type: string): number {
    const mean = LASTS[type]!;
    return Math.min(8 * mean, -Math.log(1 - this.random.next()) * mean) * MINUTE;
  }
}

export interface Outcome {
  readonly runs: number;
  /** Most starts that came due in one minute. */
  readonly peakAsked: number;
  /** Starts that came due per minute, in the hour of that minute. */
  readonly meanOfBusyHours: number;
  readonly peakRunning: number;
  readonly longestWaitMinutes: number;
  /** The longest share of the time to its next that a run has waited for a place. */
  readonly longestWaitOfInterval: number;
  /** Runs that never began, and those skipped because the one before was still waiting. */
  readonly starved: number;
  readonly planningMs: number;
}

interface Waiting extends Candidate {
  readonly schedule: number;
  readonly startAfter: number;
  readonly nextRun: number;
}

export interface Days {
  readonly start: number;
  readonly hours: number;
  readonly concurrency: number;
}

/** Looks at the clock once a minute, as the scheduler does: plans what came due, ends what has ended, admits what may begin. */
export function simulate(fleet: Fleet, { start, hours, concurrency }: Days): Outcome {
  const { definitions } = fleet;
  const minutes = hours * 60;
  const due = Array.from({ length: minutes + 1 }, (): number[] => []);
  const asked = new Int32Array(minutes + 1);
  const plannedTo = new Float64Array(definitions.length).fill(start);
  const active = definitions.map(() => ({ waiting: 0, running: 0 }));
  const ending = new Map<number, Waiting[]>();
  const lanes = new Set<string>();
  let waiting: Waiting[] = [];
  const seen = { runs: 0, peakRunning: 0, longestWait: 0, longestShare: 0, starved: 0, planningMs: 0 };

  const timed = <T>(work: () => T): T => {
    const began = performance.now();
    const result = work();
    seen.planningMs += performance.now() - began;
    return result;
  };
  const lookAgain = (schedule: number, { nextRun }: Pick<Plan, 'nextRun'>) => {
    const minute = Math.ceil((nextRun - start) / MINUTE);
    if (minute <= minutes) due[minute]!.push(schedule);
  };
  definitions.forEach((definition, i) => {
    lookAgain(
      i,
      timed(() => plan(definition, { plannedTo: start, waiting: 0, running: 0 }, start)),
    );
  });

  for (let minute = 0; minute <= minutes; minute += 1) {
    const now = start + minute * MINUTE;
    for (const run of ending.get(minute) ?? []) {
      lanes.delete(run.lane);
      active[run.schedule]!.running -= 1;
    }
    ending.delete(minute);
    for (const schedule of due[minute]!) {
      const definition = definitions[schedule]!;
      const planned = timed(() => plan(definition, { plannedTo: plannedTo[schedule]!, ...active[schedule]! }, now));
      plannedTo[schedule] = planned.plannedTo;
      lookAgain(schedule, planned);
      if (!planned.run) continue;
      asked[minute]! += 1;
      if (planned.run.skipped !== null || planned.run.missed > 0) {
        seen.starved += 1;
        continue;
      }
      const { deadline, startAfter } = planned.run;
      const lane = laneOf(definition.type, definition.tenant);
      waiting.push({ id: String(schedule), schedule, lane, deadline, startAfter, nextRun: planned.nextRun });
      active[schedule]!.waiting += 1;
    }
    const admitted = timed(() => admit(waiting, lanes, concurrency - lanes.size));
    const gone = new Set(admitted);
    waiting = waiting.filter((run) => !gone.has(run));
    for (const run of admitted) {
      lanes.add(run.lane);
      active[run.schedule]!.waiting -= 1;
      active[run.schedule]!.running += 1;
      // Ends are noticed at the next look.
      const end = minute + Math.max(1, Math.ceil(fleet.lasts(definitions[run.schedule]!.type) / MINUTE));
      ending.set(end, [...(ending.get(end) ?? []), run]);
      seen.runs += 1;
      const wait = now - run.startAfter;
      seen.longestWait = Math.max(seen.longestWait, wait);
      seen.longestShare = Math.max(seen.longestShare, wait / (run.nextRun - run.startAfter));
    }
    seen.peakRunning = Math.max(seen.peakRunning, lanes.size);
  }
  // Whatever has waited beyond its next time was passed over.
  seen.starved += waiting.filter((run) => run.nextRun < start + minutes * MINUTE).length;
  return {
    runs: seen.runs,
    ...busiest(asked),
    peakRunning: seen.peakRunning,
    longestWaitMinutes: Math.round(seen.longestWait / MINUTE),
    longestWaitOfInterval: seen.longestShare,
    starved: seen.starved,
    planningMs: seen.planningMs,
  };
}

/** The busiest minute, and the mean of the hour of the clock that it lies in. */
function busiest(asked: Int32Array): { peakAsked: number; meanOfBusyHours: number } {
  let peak = 0;
  for (let i = 0; i < asked.length; i += 1) if (asked[i]! > asked[peak]!) peak = i;
  const hour = Math.floor(peak / 60) * 60;
  const within = asked.subarray(hour, hour + 60);
  return { peakAsked: asked[peak]!, meanOfBusyHours: within.reduce((a, b) => a + b, 0) / within.length };
}
