/** Runs of file backups in the log of the catalog, where a look for late ones finds them. */
import type pg from 'pg';
import { logStep } from '../catalog/record.ts';
import type { FileManifest } from './types.ts';

/** How the log calls a run; core/schedules/overdue.ts looks for it. */
const FILES_STEP = 'files';

/** Once for each run, however often it is told. */
export async function recordStart(client: pg.ClientBase, run: string, tenant: string | null): Promise<void> {
  if (await isTold(client, run, 'started')) return;
  await logStep(client, { backup: run, tenant, step: FILES_STEP, result: 'started' });
}

/** The same. */
export async function recordEnd(client: pg.ClientBase, { id, tenant, totals }: FileManifest): Promise<void> {
  if (await isTold(client, id, 'ok')) return;
  await logStep(client, { backup: id, tenant, step: FILES_STEP, result: 'ok', detail: totals });
}

async function isTold(client: pg.ClientBase, run: string, result: 'started' | 'ok'): Promise<boolean> {
  const { rowCount } = await client.query(
    'select from holdfast.tenant_backup_logs where backup_id = $1 and step = $2 and result = $3 limit 1',
    [run, FILES_STEP, result],
  );
  return rowCount !== 0;
}
