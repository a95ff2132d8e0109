/** The backups as the store itself tells them: what is left to look at when the database is gone. */
import type { Context } from '../core/context.ts';
import { type HoldfastError, IntegrityError } from '../core/errors.ts';
import { listManifests, readManifest } from '../core/snapshot/manifest.ts';
import { openStore } from '../core/snapshot/store.ts';
import type { Manifest } from '../core/snapshot/types.ts';

export interface StoreListing {
  /** Newest first. */
  readonly manifests: readonly Manifest[];
  /** Manifests that do not hold, with the reason. */
  readonly damaged: readonly HoldfastError[];
}

/** Those that can restore `tenant`: its own and those of the whole database. Undefined: all. */
export async function listStore(
  ctx: Pick<Context, 'store' | 'keys'>,
  options: { readonly tenant?: string; readonly limit: number },
): Promise<StoreListing> {
  const { id: storeId } = await openStore(ctx);
  const { tenant } = options;
  const refs =
    tenant === undefined
      ? await listManifests(ctx.store)
      : [...(await listManifests(ctx.store, { tenant: null })), ...(await listManifests(ctx.store, { tenant }))];
  refs.sort((a, b) => (a.id > b.id ? -1 : 1));
  const manifests: Manifest[] = [];
  const damaged: HoldfastError[] = [];
  for (const ref of refs.slice(0, options.limit)) {
    try {
      manifests.push(await readManifest(ctx, ref, { storeId }));
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      damaged.push(error);
    }
  }
  return { manifests, damaged };
}
