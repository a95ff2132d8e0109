/** An outside clock says that a schedule is due. */
import type pg from 'pg';
import { transaction } from '../sql.ts';
import { occurrencesBetween } from './occurrences.ts';
import { cronOf, plan, shareOf } from './plan.ts';
import { dueSchedule, LOCK, save } from './planDue.ts';

export type WhichSchedule = { readonly id: string } | { readonly tenant: string | null; readonly name: string };

/**
 * Makes the run of the time that the clock names. Called twice, late, or for a schedule that was changed or removed meanwhile, it
 * makes no run that is not owed; `tick` begins it.
 * @param scheduled what the clock says it was meant for; with a time window, anything inside it
 * @returns whether there is a run now that was not there before
 */
export function fire(client: pg.Client, which: WhichSchedule, scheduled: number, now: number): Promise<boolean> {
  return transaction(client, '', async () => {
    await client.query(LOCK);
    const found = await dueSchedule(client, which);
    if (!found) return false;
    const { schedule, progress } = found;
    const window = (schedule.spread + 1) * 60_000;
    const span = occurrencesBetween(cronOf(schedule.cron), schedule.timeZone, scheduled - window, scheduled);
    if (span.count === 0 || span.last <= progress.plannedTo) return false;
    const planned = plan(schedule, progress, span.last + shareOf(schedule));
    // The outside clock spreads the starts itself: what it calls for begins.
    const run = planned.run && { ...planned.run, startAfter: Math.min(planned.run.startAfter, now) };
    await save(client, [{ schedule, progress, plan: { ...planned, run } }], now);
    return true;
  });
}
