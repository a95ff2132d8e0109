/** What a restore reads from a store, proven to be there before anything runs. */
import type { Context } from '../context.ts';
import { type HoldfastError, IntegrityError } from '../errors.ts';
import type { Moment } from '../moment.ts';
import { Keyring } from '../snapshot/keyring.ts';
import { listManifests, readManifest } from '../snapshot/manifest.ts';
import type { SlabReader } from '../snapshot/readSlab.ts';
import { manifestName, openStore } from '../snapshot/store.ts';
import { type Manifest, type ManifestObject, SHARED } from '../snapshot/types.ts';
import { type Chain, type ChainTarget, planChain } from './chain.ts';
import { inParallel } from './inParallel.ts';

/** Requests to the store that are under way at once; each waits much longer than it works. */
const AT_ONCE = 16;

/**
 * The chain for a target, with everything it needs proven to be there before anything runs. `known` are manifests that were
 * read already.
 */
export async function storeChain(
  ctx: Context,
  tenant: string | null,
  moment?: Moment,
  known: readonly Manifest[] = [],
): Promise<Chain> {
  const { id: storeId } = await openStore(ctx);
  const { manifests, unreadable } = await readManifests(ctx, storeId, tenant, known);
  const chain = planAround(manifests, unreadable, { tenant, ...(moment === undefined ? {} : { moment }) });
  const keyring = new Keyring(ctx.store, ctx.keys, storeId);
  for (const manifest of chain.logs) await proveThere(ctx, keyring, manifest, tenant);
  return chain;
}

/** A manifest that cannot be read must not stand in the way of a restore that does without it. */
async function readManifests(ctx: Context, storeId: string, tenant: string | null, known: readonly Manifest[]) {
  const refs = await listManifests(ctx.store, { tenant: null });
  if (tenant !== null) refs.push(...(await listManifests(ctx.store, { tenant })));
  const unreadable: HoldfastError[] = [];
  const manifests = await inParallel(refs, AT_ONCE, async (ref) => {
    try {
      return (
        known.find((m) => manifestName(m.tenant, m.id) === ref.name) ?? (await readManifest(ctx, ref, { storeId }))
      );
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      unreadable.push(error);
      return undefined;
    }
  });
  return { manifests: manifests.filter((m) => m !== undefined), unreadable };
}

/** When the target is out of reach and a manifest could not be read, that is the reason to give. */
function planAround(manifests: readonly Manifest[], unreadable: readonly HoldfastError[], target: ChainTarget): Chain {
  try {
    return planChain(manifests, target);
  } catch (error) {
    throw unreadable[0] ?? error;
  }
}

export async function slabReader(ctx: Context): Promise<SlabReader> {
  const { id } = await openStore(ctx);
  return { store: ctx.store, persons: ctx.persons, keyring: new Keyring(ctx.store, ctx.keys, id) };
}

/** Tenants whose slabs a restore reads. */
export const wantedTenants = (tenant: string | null) => (t: string) => tenant === null || t === tenant || t === SHARED;

/** Every object there with its size, every key unwrapped; the bytes themselves are checked as they are read. */
async function proveThere(ctx: Context, keyring: Keyring, manifest: Manifest, tenant: string | null): Promise<void> {
  const wanted = wantedTenants(tenant);
  const objects = manifest.objects.filter((object) => object.slabs.some((s) => wanted(s.tenant)));
  await inParallel(objects, AT_ONCE, async (object) => {
    const head = await ctx.store.head(object.name);
    if (head?.size !== object.size) throw gone(object, manifest, head?.size);
  });
  const names = Object.keys(manifest.keys).filter(wanted);
  await inParallel(names, AT_ONCE, (name) => keyring.backupKey(manifest, name));
}

const gone = (object: ManifestObject, { id }: Manifest, got: number | undefined) =>
  new IntegrityError(
    got === undefined ? 'HF_OBJECT_MISSING' : 'HF_OBJECT_TRUNCATED',
    `${object.name} ${got === undefined ? 'is not in the store' : `has ${got} bytes, not ${object.size}`}; backup ${id} needs it.`,
    {
      action: 'Bring it back from another copy of the store, or restore from another backup.',
      details: { object: object.name, backup: id, expected: object.size, got },
    },
  );
