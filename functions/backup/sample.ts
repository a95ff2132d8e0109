/** Which tenant of a backup stands for it, where all of it would take longer than a function may. */
import { createHash } from 'node:crypto';
import type { ObjectStore } from '../../core/ports.ts';
import type { Chain } from '../../core/restore/chain.ts';
import { listManifests } from '../../core/snapshot/manifest.ts';
import { SHARED } from '../../core/snapshot/types.ts';

/** Raw bytes of rows that a restore of the chain reads, about. */
export const chainBytes = ({ logs }: Chain): number => logs.reduce((sum, { totals }) => sum + totals.rawBytes, 0);

/**
 * Another tenant with each backup, so that in time all have been restored. One that has backups of its own is left out: its restore
 * might not come from this one.
 * @returns undefined when there is none that fits into `most` raw bytes
 */
export async function sampleTenant(
  store: ObjectStore,
  { base, logs }: Chain,
  backup: string,
  most: number,
): Promise<string | undefined> {
  const stored = new Map<string, number>();
  for (const { objects } of logs) {
    for (const { slabs } of objects) {
      for (const { tenant, length } of slabs) stored.set(tenant, (stored.get(tenant) ?? 0) + length);
    }
  }
  const ratio = base.totals.rawBytes / Math.max(1, base.totals.bytes);
  const shared = stored.get(SHARED) ?? 0;
  const names = [...stored.keys()].filter((tenant) => tenant !== SHARED).sort();
  const first = createHash('sha256').update(backup).digest().readUInt32BE() % Math.max(1, names.length);
  for (const tenant of [...names.slice(first), ...names.slice(0, first)]) {
    if ((stored.get(tenant)! + shared) * ratio > most) continue;
    if ((await listManifests(store, { tenant })).length === 0) return tenant;
  }
  return undefined;
}
