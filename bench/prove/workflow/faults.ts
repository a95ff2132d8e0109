/** What can go wrong with a call of a task, besides its process being killed. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskCall } from '../../../adapters/local/workflowTasks.ts';
import type { Random } from '../suite.ts';

/**
 * lost: done, but the answer does not arrive. twice: delivered two times at once. late: delivered again after what came next, and
 * once more after the end. timeout: given up while it goes on. shuffled: items of a Map wait for each other in another order.
 */
export const FAULTS = ['lost', 'twice', 'late', 'timeout', 'shuffled'] as const;
export type Fault = (typeof FAULTS)[number];

export interface Disturbance {
  readonly around: (call: TaskCall) => Promise<unknown>;
  /** Delivers what is still to come after the end, in another order, and waits for what was given up. */
  readonly afterwards: () => Promise<void>;
  /** Whether it struck at all. */
  readonly struck: () => boolean;
}

export function disturb(fault: Fault, at: string, random: Random): Disturbance {
  const abandoned: Promise<unknown>[] = [];
  const later: (() => Promise<unknown>)[] = [];
  let struck = 0;
  const around = async ({ state, run }: TaskCall): Promise<unknown> => {
    if (fault === 'shuffled') {
      struck += 1;
      await sleep(random.int(60));
    }
    if (state !== at || fault === 'shuffled' || struck > 0) {
      const answer = await run();
      if (later.length > 0 && random.chance(0.5)) await later.at(-1)!().catch(() => {}); // refused or done already
      return answer;
    }
    struck += 1;
    if (fault === 'twice') {
      const both = await Promise.allSettled([run(), run()]);
      const good = both.find((one) => one.status === 'fulfilled');
      if (!good) throw (both[0] as PromiseRejectedResult).reason;
      return good.value;
    }
    if (fault === 'timeout') {
      const given = run();
      given.catch(() => {}); // nobody hears of it
      abandoned.push(given);
      await sleep(random.int(40));
      throw named('States.Timeout');
    }
    if (fault === 'late') later.push(run);
    const answer = await run();
    if (fault === 'lost') throw named('Transient');
    return answer;
  };
  return {
    around,
    struck: () => struck > 0,
    afterwards: async () => {
      await Promise.allSettled(abandoned);
      for (const run of later.reverse()) await run().catch(() => {}); // too late: refused, or nothing to do
    },
  };
}

const named = (name: string): Error => Object.assign(new Error('injected'), { name });
