/** Copies in other locations, made when a workflow asks how far they are. */
import type { Context } from '../../core/context.ts';
import type { Settings } from '../../core/datamap/settings.ts';
import { replicate } from '../../core/locations/replicate.ts';
import { keptBy } from '../../core/locations/select.ts';
import type { Replicas } from '../../core/ports.ts';
import { holdsInStore } from '../../core/snapshot/legalHold.ts';
import { refuseOverlap } from '../locations.ts';
import { hasFaults } from '../replicationReport.ts';
import { openObjectStore } from '../runtime.ts';

/** Copies to every secondary location of holdfast.yaml what it lacks. What could not be copied is `late`, and in the report of replicate. */
export function localReplicas(
  settings: Settings,
  { store, keys, persons, clock }: Pick<Context, 'store' | 'keys' | 'persons' | 'clock'>,
): Replicas {
  const secondary = settings.locations.filter(({ kind }) => kind === 'secondary');
  return {
    async state() {
      if (secondary.length === 0) return 'none';
      let whole = true;
      for (const { store: place, lock, retention } of secondary) {
        await refuseOverlap(settings.store, place);
        const target = await openObjectStore(place, lock);
        const held = retention ? await holdsInStore(store) : new Set<string>();
        const select = retention ? { select: keptBy(retention, clock.now(), held) } : {};
        const report = await replicate({ source: store, target, trust: keys, keys, persons, ...select });
        whole &&= !hasFaults(report);
      }
      return whole ? 'complete' : 'late';
    },
  };
}
