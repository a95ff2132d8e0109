import * as z from 'zod';
import { proveBackup } from '../../core/catalog/prove.ts';
import { logStep } from '../../core/catalog/record.ts';
import { RestoreError } from '../../core/errors.ts';
import { databaseOf } from '../../core/snapshot/backup.ts';
import { readManifest } from '../../core/snapshot/manifest.ts';
import { connect } from '../../core/sql.ts';
import { lambda, task } from '../task.ts';
import { backupId } from './request.ts';

/** What a function restores in its time, twice over to be safe. Beyond it, a machine that may take longer proves the backup. */
const MOST_BYTES = 4 * 2 ** 30;

/** The whole backup restored into a scratch database, and every row compared. */
export const work = task({
  input: z.object({ backup: backupId }),
  run: async (ctx, { backup }) => {
    const manifest = await readManifest(ctx, backup);
    if (manifest.totals.rawBytes > MOST_BYTES) {
      const client = await connect(databaseOf(ctx), 'holdfast-catalog');
      const reason = 'too large for a function; use "holdfast validate --deep" or a restore drill';
      const line = {
        backup,
        tenant: manifest.tenant,
        step: 'restore-test',
        result: 'skipped',
        detail: { reason },
      } as const;
      await logStep(client, line).finally(() => client.end());
      return { ok: null, reason };
    }
    const { ok, milliseconds, failures } = await proveBackup(ctx, manifest);
    if (ok) return { ok, milliseconds };
    throw new RestoreError('HF_BACKUP_UNPROVEN', `Backup ${backup} does not restore: ${failures[0]}`, {
      action: 'Make another backup now; the catalog keeps everything that this test found.',
      details: { backup, failures: failures.slice(0, 10) },
    });
  },
});

export const handler = lambda(work);
