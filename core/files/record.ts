/** Runs of file backups in the log of the catalog, where a look for late ones finds them (core/schedules/overdue.ts). */
import { type LogLine, logStep } from '../catalog/record.ts';
import { type Client, transaction } from '../sql.ts';
import type { FileManifest } from './types.ts';

/** Once for each run, however often it is told. */
export const recordStart = (client: Client, run: string, tenant: string | null): Promise<void> =>
  once(client, { backup: run, tenant, step: 'files', result: 'started' });

/** The same. */
export const recordEnd = (client: Client, { id, tenant, totals }: FileManifest): Promise<void> =>
  once(client, { backup: id, tenant, step: 'files', result: 'ok', detail: totals });

/** Two attempts at a step may be at it in the same instant. */
function once(client: Client, line: LogLine): Promise<void> {
  return transaction(client, '', async () => {
    await client.query("select pg_advisory_xact_lock(hashtextextended('holdfast.files-log ' || $1, 0))", [line.backup]);
    const { rowCount } = await client.query(
      'select from holdfast.tenant_backup_logs where backup_id = $1 and step = $2 and result = $3 limit 1',
      [line.backup, line.step, line.result],
    );
    if (rowCount === 0) await logStep(client, line);
  });
}
