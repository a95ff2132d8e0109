/** The catalog made again from the store, which is the truth. */
import type pg from 'pg';
import type { Context } from '../context.ts';
import { HoldfastError } from '../errors.ts';
import { holdsInStore } from '../snapshot/legalHold.ts';
import { listManifests, readManifest } from '../snapshot/manifest.ts';
import { readProofs, type StoredProof } from '../snapshot/proofs.ts';
import { documentBytes, openStore } from '../snapshot/store.ts';
import type { Manifest } from '../snapshot/types.ts';
import { transaction } from '../sql.ts';
import { registerBackup, registerProof, sha256Hex } from './record.ts';

export interface RebuildReport {
  /** Backups that the catalog lists now. */
  readonly backups: number;
  /** Rows whose backup is no longer in the store. */
  readonly expired: number;
  /** Manifests that cannot be trusted; they are not listed. */
  readonly damaged: readonly { readonly object: string; readonly code: string; readonly message: string }[];
  /** The database did not know of a backup of its own life: it may have been brought back to an earlier state, so a new life begins. */
  readonly newEpoch: boolean;
}

/** Writes one row per manifest in the store, and marks rows without one as expired. Safe to repeat. */
export async function rebuildCatalog(ctx: Context, client: pg.Client): Promise<RebuildReport> {
  const storeId = (await openStore(ctx)).id;
  const manifests: Manifest[] = [];
  const damaged: RebuildReport['damaged'][number][] = [];
  for (const ref of await listManifests(ctx.store)) {
    try {
      manifests.push(await readManifest(ctx, ref, { storeId }));
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      damaged.push({ object: ref.name, code: error.code, message: error.message });
    }
  }
  const held = await holdsInStore(ctx.store);
  const proofs: StoredProof[] = [];
  for await (const proof of readProofs(ctx)) proofs.push(proof);
  return transaction(client, '', async () => {
    const before = await client.query<{ id: string; status: string }>('select id, status from holdfast.tenant_backups');
    const known = new Set(before.rows.map((row) => row.id));
    const { rows } = await client.query<{ epoch: string }>('select epoch::text from holdfast.installation');
    // A synthetic full is made without the database; the backups it was made of tell.
    const foreign = (m: Manifest) => ![m.id, ...(m.synthetic ?? [])].some((id) => known.has(id));
    const newEpoch = manifests.some((m) => m.epoch === rows[0]!.epoch && foreign(m));
    for (const manifest of manifests) {
      await registerBackup(client, manifest, sha256Hex(documentBytes(manifest)));
    }
    for (const proof of proofs) await registerProof(client, proof);
    await client.query('update holdfast.tenant_backups set legal_hold = (id = any($1))', [[...held]]);
    const present = [...manifests.map((m) => m.id), ...damaged.map((d) => d.object.split('/').at(-1)!.slice(0, -5))];
    const gone = await client.query(
      "update holdfast.tenant_backups set status = 'expired' where status = 'complete' and id <> all($1)",
      [present],
    );
    if (newEpoch) await client.query('update holdfast.installation set epoch = gen_random_uuid()');
    return { backups: manifests.length, expired: gone.rowCount ?? 0, damaged, newEpoch };
  });
}
