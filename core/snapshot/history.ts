/** The backups before this one, as far as the decision about it needs them. */
import type { Context } from '../context.ts';
import { HoldfastError } from '../errors.ts';
import { listManifests, readManifest } from './manifest.ts';
import type { Manifest } from './types.ts';

export interface Before {
  readonly latest: Manifest | undefined;
  readonly full: Manifest | undefined;
  /** Set when the newest backup's manifest could not be read. */
  readonly unreadable?: string;
}

/**
 * The newest backup of a scope and its newest full. Only backups that leave out the same tables count: a log without a
 * table's changes cannot be continued for that table.
 */
export async function backupsBefore(
  ctx: Context,
  store: string,
  tenant: string | null,
  excluded: readonly string[],
): Promise<Before> {
  const refs = (await listManifests(ctx.store, { tenant })).reverse();
  let latest: Manifest | undefined;
  for (const ref of refs) {
    // Ids name the type, so that a year of logs need not be read to find the full before them.
    if (latest && !ref.id.includes('-full-')) continue;
    let manifest: Manifest;
    try {
      manifest = await readManifest(ctx, ref, { storeId: store });
    } catch (error) {
      if (!(error instanceof HoldfastError) || latest) throw error;
      return { latest: undefined, full: undefined, unreadable: `${ref.id}: ${error.code}` };
    }
    if (String(manifest.excluded) !== String(excluded)) continue;
    latest ??= manifest;
    if (manifest.type === 'full') return { latest, full: manifest };
  }
  return { latest, full: undefined };
}
