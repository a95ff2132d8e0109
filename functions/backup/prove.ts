import * as z from 'zod';
import { proveBackup, proveSample } from '../../core/catalog/prove.ts';
import { logStep } from '../../core/catalog/record.ts';
import { RestoreError } from '../../core/errors.ts';
import { parseMoment } from '../../core/moment.ts';
import { storeChain } from '../../core/restore/storePlan.ts';
import { databaseOf } from '../../core/snapshot/backup.ts';
import { readManifest } from '../../core/snapshot/manifest.ts';
import type { Manifest } from '../../core/snapshot/types.ts';
import { connect } from '../../core/sql.ts';
import { lambda, type TaskContext, task } from '../task.ts';
import { backupId } from './request.ts';
import { chainBytes, sampleTenant } from './sample.ts';

/** What a function restores in its time, twice over to be safe. */
const MOST_BYTES = 4 * 2 ** 30;

/**
 * The whole backup restored into a scratch database, and every row compared; of one that is too large for that, a tenant. A machine
 * that may take longer proves the rest.
 */
export const work = task({
  input: z.object({ backup: backupId, most: z.int().min(1).default(MOST_BYTES) }),
  run: async (ctx, { backup, most }) => {
    const manifest = await readManifest(ctx, backup);
    const chain = await storeChain(ctx, manifest.tenant, parseMoment(manifest.horizon), [manifest]);
    if (chainBytes(chain) <= most) return told(await proveBackup(ctx, manifest));
    const tenant = manifest.tenant === null ? await sampleTenant(ctx.store, chain, backup, most) : undefined;
    return tenant === undefined ? skip(ctx, manifest) : told(await proveSample(ctx, manifest, tenant));
  },
});

function told({ ok, backup, tenant, milliseconds, failures }: Awaited<ReturnType<typeof proveBackup>>) {
  if (ok) return { ok, milliseconds, ...(tenant === undefined ? {} : { tenant }) };
  throw new RestoreError('HF_BACKUP_UNPROVEN', `Backup ${backup} does not restore: ${failures[0]}`, {
    action: 'Make another backup now; the catalog keeps everything that this test found.',
    details: { backup, failures: failures.slice(0, 10) },
  });
}

async function skip(ctx: TaskContext, { id: backup, tenant }: Manifest) {
  const reason = 'too large for a function; restore it on a machine that may take longer';
  const client = await connect(databaseOf(ctx), 'holdfast-catalog');
  const line = { backup, tenant, step: 'restore-test', result: 'skipped', detail: { reason } } as const;
  await logStep(client, line).finally(() => client.end());
  return { ok: null, reason };
}

export const handler = lambda(work);
