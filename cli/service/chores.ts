/** What the service does beside the schedules: by the minute, so that moments stay exact and an edited file counts. */
import type { Chore } from '../../adapters/local/scheduler.ts';
import { maintain } from '../../core/history/maintain.ts';
import { seal } from '../../core/history/seal/seal.ts';
import { applyFile } from '../../core/schedules/file.ts';
import { pruneRuns } from '../../core/schedules/runs.ts';
import type { GlobalOptions } from '../report.ts';
import { contextOf, databaseUrl, settingsOf } from '../runtime.ts';
import type { Say } from './events.ts';

const MINUTE = 60_000;

export function chores(options: GlobalOptions, say: Say): Chore[] {
  return [
    {
      name: 'schedules of the file',
      everyMs: MINUTE,
      run: async (client) => {
        const { schedules } = await settingsOf(options);
        const changes = await applyFile(client, schedules, Date.now());
        for (const [what, names] of Object.entries(changes)) {
          if (names.length > 0) say('schedules.applied', { what, names }, `schedules ${what}: ${names.join(', ')}`);
        }
      },
    },
    {
      name: 'maintenance',
      everyMs: MINUTE,
      run: async (client) => {
        await maintain(client);
        await seal({
          ...(await contextOf({ ...options, quiet: true }, 'database')),
          databaseUrl: databaseUrl(options),
        });
      },
    },
    {
      name: 'forgetting old runs',
      everyMs: 60 * MINUTE,
      run: async (client) => void (await pruneRuns(client, Date.now())),
    },
  ];
}
