/**
 * Schedules: random ones, changed while they run, on a clock that jumps and stops, under schedulers that are killed between any two
 * messages to the database or the workflows. The oracle knows the wall clock of every minute and counts; it shares no code with the
 * planner.
 */

import { scheduleWorld } from '../../test/schedules/world.ts';
import { Life } from './schedules/life.ts';
import { judge } from './schedules/oracle.ts';
import type { ProveFailure, Suite } from './suite.ts';
import { Random } from './suite.ts';

const suite: Suite = {
  name: 'schedules',
  description:
    'every time that comes due is run once, skipped for a reason, or stood for by one run; whoever is killed',
  quickCases: 10,
  async run({ cases, seed, serverUrl, log }) {
    const world = await scheduleWorld(serverUrl);
    const failures: ProveFailure[] = [];
    const facts = { due: 0, runs: 0, missed: 0, skipped: 0, late: 0, kills: 0, looks: 0, repeatedStarts: 0 };
    try {
      for (let n = 0; n < cases; n += 1) {
        const life = new Life(world, new Random(seed * 7919 + n));
        const wrong = await life
          .live()
          .then(() => judge(life))
          .catch((error: Error) => error.stack ?? error.message);
        if (wrong !== undefined) failures.push({ seed, case: n, message: wrong });
        for (const [fact, count] of Object.entries(life.facts)) facts[fact as keyof typeof facts] += count;
        if (n % 5 === 4) log(`${n + 1} lives, ${facts.runs} runs, ${facts.kills} kills`);
      }
      return { cases, failures, facts };
    } finally {
      await world.database.drop();
    }
  },
};
export default suite;
