/**
 * The schedules of 100,000 tenants through the planner, on a clock that is simulated by the minute: how the starts are spread, that
 * never more run than may, that nothing starves, and what the planning costs. The work itself is not done; each run lasts as long as a
 * draw says.
 */
import { Cron as Croner } from 'croner';
import { admit } from '../../core/schedules/admit.ts';
import { nextOccurrence } from '../../core/schedules/occurrences.ts';
import { cronOf } from '../../core/schedules/plan.ts';
import { Fleet, type Outcome, simulate } from './scale/simulation.ts';
import { type BenchSuite, ratio } from './suite.ts';

const TENANTS = 100_000;
const ZONES = ['Europe/Berlin', 'America/New_York', 'America/Sao_Paulo', 'Asia/Kolkata', 'Australia/Sydney', 'UTC'];
/** A Saturday, so that the two days after noon hold the weekly backups of all, and the change of Europe's clocks. */
const START = Date.UTC(2026, 2, 28, 12);
const HOURS = 48;

const suite: BenchSuite = {
  name: 'scale',
  description:
    '100,000 tenants in six time zones, two days: starts spread, concurrency kept, nothing starved, cost of planning',
  async run({ log, scale, rounds }) {
    const tenants = Math.max(100, Math.round(TENANTS * scale));
    const spreadPeaks: number[] = [];
    const plainPeaks: number[] = [];
    const usage: number[] = [];
    const waits: number[] = [];
    const costs: number[] = [];
    let last: Outcome | undefined;
    // What all would need, and a fifth on top: with less, no order of starts could keep up.
    const concurrency = Math.ceil(new Fleet(tenants, ZONES, 1, 60).load * 1.2);
    for (let round = 1; round <= rounds; round += 1) {
      const spread = simulate(new Fleet(tenants, ZONES, round, 60), { start: START, hours: HOURS, concurrency });
      // A tenth of them shows as well how it would be without.
      const plain = simulate(new Fleet(Math.ceil(tenants / 10), ZONES, round, 0), {
        start: START,
        hours: HOURS,
        concurrency: Infinity,
      });
      spreadPeaks.push(spread.peakAsked / spread.meanOfBusyHours);
      plainPeaks.push(plain.peakAsked / plain.meanOfBusyHours);
      usage.push(spread.peakRunning / concurrency);
      waits.push(spread.longestWaitOfInterval);
      costs.push(planningCost());
      last = spread;
      log(
        `round ${round}: ${spread.runs.toLocaleString('en')} runs, at most ${spread.peakAsked.toLocaleString('en')} starts a minute; ${spread.peakRunning} of ${concurrency} at once; longest wait ${spread.longestWaitMinutes} min; ` +
          `${spread.starved} starved; planned in ${(spread.planningMs / 1000).toFixed(1)} s`,
      );
    }
    return {
      ratios: {
        'starts asked for, busiest minute against the mean of its hour': ratio(spreadPeaks, '<= 1.5'),
        'the same without spreading (control)': ratio(plainPeaks, '~ 60'),
        'runs at once, at most, against what may': ratio(usage, '<= 1'),
        'longest wait for a place, against the time between two runs': ratio(waits, '< 1'),
        'finding the next time, against croner': ratio(costs, '<= 0.25'),
      },
      facts: {
        tenants,
        'runs in two days': last!.runs,
        'runs that never began, or were skipped because the one before still waited': last!.starved,
        'concurrency allowed': concurrency,
        'longest wait, minutes': last!.longestWaitMinutes,
        'planning and admitting, microseconds per run': Math.round((last!.planningMs * 1000) / last!.runs),
        'admitting from a queue of 100,000, ms': Math.round(admission()),
      },
    };
  },
};
export default suite;

/** Time of a year of daily times in a zone whose clocks change, against the library that schedulers in Node use. */
function planningCost(): number {
  const count = 365;
  const timed = (work: () => void): number => {
    const began = performance.now();
    work();
    return performance.now() - began;
  };
  const ours = timed(() => {
    let at = START;
    for (let i = 0; i < count; i += 1) at = nextOccurrence(cronOf('30 3 * * *'), 'Europe/Berlin', at);
  });
  const theirs = timed(() => {
    const cron = new Croner('30 3 * * *', { timezone: 'Europe/Berlin', paused: true });
    let at: Date | null = new Date(START);
    for (let i = 0; i < count && at; i += 1) at = cron.nextRun(at);
  });
  return ours / theirs;
}

function admission(): number {
  const waiting = Array.from({ length: 100_000 }, (_, i) => ({
    id: String(i),
    lane: `backup ${i % 60_000}`,
    deadline: (i * 7919) % 100_003,
  }));
  const began = performance.now();
  admit(waiting, [], 1000);
  return performance.now() - began;
}
