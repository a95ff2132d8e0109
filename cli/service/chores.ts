/** What the service does beside the schedules: by the minute, so that moments stay exact and an edited file counts. */
import { readFile } from 'node:fs/promises';
import type pg from 'pg';
import type { Chore } from '../../adapters/local/scheduler.ts';
import { maintain } from '../../core/history/maintain.ts';
import { seal } from '../../core/history/seal/seal.ts';
import type { Workflows } from '../../core/ports.ts';
import { applyFile } from '../../core/schedules/file.ts';
import { pruneRuns } from '../../core/schedules/runs.ts';
import type { GlobalOptions } from '../report.ts';
import { contextOf, databaseUrl, settingsOf } from '../runtime.ts';
import type { Say } from './events.ts';

const MINUTE = 60_000;

export function chores(options: GlobalOptions, workflows: Workflows, say: Say): Chore[] {
  let configuration: string | undefined;
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
      name: 'backup of a changed configuration',
      everyMs: MINUTE,
      run: async (client) => {
        const now = await configurationOf(client, options.config);
        if (now === configuration) return;
        // What is the same as was kept last, as after most starts, is not kept again.
        await workflows.start('config-backup', {}, { id: `config-${Date.now()}` });
        configuration = now;
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

/** The file, and how often schedules have been changed: what people set. */
async function configurationOf(client: pg.Client, path: string): Promise<string> {
  const { rows } = await client.query(
    "select concat(count(*), ' ', sum(revision)) as schedules from holdfast.tenant_backup_schedules",
  );
  return `${rows[0].schedules}\n${await readFile(path, 'utf8')}`;
}
