import type { Settings } from '../../core/datamap/settings.ts';
import { JOBS, jobInput } from '../../core/schedules/jobs.ts';
import type { ScheduledRun } from './schedules.ts';
import type { Workflow } from './workflow.ts';

/**
 * The schedules of holdfast.yaml that are for the whole database. Those of one tenant are made and changed at run time, in the same
 * group.
 *
 * @returns nothing for a job whose workflow is not here, such as snapshots of a database that is not RDS
 */
export function scheduledRuns(
  settings: Pick<Settings, 'schedules'>,
  workflows: Readonly<Record<string, Workflow>>,
): ScheduledRun[] {
  return settings.schedules.flatMap((schedule) => {
    const workflow = workflows[JOBS[schedule.type].workflow];
    if (!workflow || schedule.tenant !== null || !schedule.enabled) return [];
    return [
      {
        name: schedule.name,
        cron: schedule.cron,
        timeZone: schedule.timeZone,
        workflow,
        input: jobInput(schedule.type, null),
        flexible: schedule.spread,
      },
    ];
  });
}
