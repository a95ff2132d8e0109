import { parseCron } from '../../core/schedules/cron.ts';
import { nextOccurrence } from '../../core/schedules/occurrences.ts';

const HOUR = 3_600_000;
/** Five weeks see every day of the week, and the end of a month. */
const SPAN = 35 * 24 * HOUR;
/** A Thursday; which one does not matter, but that it is always the same: templates must not change with the day. */
const FROM = Date.UTC(2026, 0, 1);
/** CloudWatch looks back so far. */
const WEEK_HOURS = 168;

interface Timed {
  readonly cron: string;
  readonly timeZone?: string;
  readonly workflow: { readonly name: string };
}

/**
 * How long each workflow may be quiet when all is well: the longest time between two of its runs, and `slack` hours for the run itself.
 *
 * @returns hours by name; without workflows that are quiet for longer than a week, which no alarm can watch
 */
export function longestGaps(runs: readonly Timed[], slack = 2): Record<string, number> {
  const gaps: Record<string, number> = {};
  for (const [name, own] of Map.groupBy(runs, (run) => run.workflow.name)) {
    const crons = own.map((run) => ({ cron: parseCron(run.cron), zone: run.timeZone ?? 'UTC' }));
    const next = (after: number) => Math.min(...crons.map(({ cron, zone }) => nextOccurrence(cron, zone, after)));
    let longest = 0;
    for (let at = next(FROM); at < FROM + SPAN; ) {
      const following = next(at);
      longest = Math.max(longest, following - at);
      at = following;
    }
    const hours = Math.ceil(longest / HOUR) + slack;
    if (longest > 0 && hours <= WEEK_HOURS) gaps[name] = hours;
  }
  return gaps;
}
