/** Runs that ended without saying so: their rows are settled by the next run of the same scope, which holds its lock. */
import type pg from 'pg';
import type { Context } from '../context.ts';
import { readManifest } from '../snapshot/manifest.ts';
import { documentBytes, manifestName } from '../snapshot/store.ts';
import { recordFailed, registerBackup, sha256Hex } from './record.ts';

/** A killed run whose manifest was written is complete; any other but `except`, which goes on, has failed. */
export async function settleInterrupted(
  ctx: Context,
  client: pg.Client,
  scope: { readonly tenant: string | null; readonly storeId: string; readonly except: string | undefined },
): Promise<void> {
  const { rows } = await client.query<{ id: string }>(
    "select id from holdfast.tenant_backups where tenant is not distinct from $1 and status = 'running'",
    [scope.tenant],
  );
  for (const { id } of rows) {
    const name = manifestName(scope.tenant, id);
    const found = await ctx.store.head(name);
    if (found) {
      const manifest = await readManifest(ctx, { id, name, size: found.size }, { storeId: scope.storeId });
      await registerBackup(client, manifest, sha256Hex(documentBytes(manifest)));
    } else if (id !== scope.except) {
      await recordFailed(client, id, new Error('The run was killed before it had finished.'));
    }
  }
}
