/** What a restore reads from a store, proven to be there before anything runs. */
import type { Context } from '../context.ts';
import { type HoldfastError, IntegrityError } from '../errors.ts';
import type { Moment } from '../moment.ts';
import { Keyring } from '../snapshot/keyring.ts';
import { listManifests, readManifest } from '../snapshot/manifest.ts';
import type { SlabReader } from '../snapshot/readSlab.ts';
import { openStore } from '../snapshot/store.ts';
import { type Manifest, SHARED } from '../snapshot/types.ts';
import { type Chain, type ChainTarget, planChain } from './chain.ts';

/** The chain for a target, with everything it needs proven to be there before anything runs. */
export async function storeChain(ctx: Context, tenant: string | null, moment?: Moment): Promise<Chain> {
  const { id: storeId } = await openStore(ctx);
  const { manifests, unreadable } = await readManifests(ctx, storeId, tenant);
  const chain = planAround(manifests, unreadable, { tenant, ...(moment === undefined ? {} : { moment }) });
  const reader = await slabReader(ctx);
  for (const manifest of chain.logs) await proveThere(ctx, reader, manifest, tenant);
  return chain;
}

/** A manifest that cannot be read must not stand in the way of a restore that does without it. */
async function readManifests(ctx: Context, storeId: string, tenant: string | null) {
  const refs = await listManifests(ctx.store, { tenant: null });
  if (tenant !== null) refs.push(...(await listManifests(ctx.store, { tenant })));
  const manifests: Manifest[] = [];
  const unreadable: HoldfastError[] = [];
  for (const ref of refs) {
    try {
      manifests.push(await readManifest(ctx, ref, { storeId }));
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      unreadable.push(error);
    }
  }
  return { manifests, unreadable };
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
async function proveThere(ctx: Context, reader: SlabReader, manifest: Manifest, tenant: string | null): Promise<void> {
  const wanted = wantedTenants(tenant);
  for (const object of manifest.objects) {
    if (!object.slabs.some((s) => wanted(s.tenant))) continue;
    const head = await ctx.store.head(object.name);
    if (head?.size === object.size) continue;
    throw new IntegrityError(
      head ? 'HF_OBJECT_TRUNCATED' : 'HF_OBJECT_MISSING',
      `${object.name} ${head ? `has ${head.size} bytes, not ${object.size}` : 'is not in the store'}; backup ${manifest.id} needs it.`,
      {
        action: 'Bring it back from another copy of the store, or restore from another backup.',
        details: { object: object.name, backup: manifest.id, expected: object.size, got: head?.size },
      },
    );
  }
  for (const name of Object.keys(manifest.keys)) if (wanted(name)) await reader.keyring.backupKey(manifest, name);
}
