/** Which backups of a store a copy of it should have. */
import { HoldfastError } from '../errors.ts';
import { formatMoment, type Moment } from '../moment.ts';
import type { ObjectStore, Trust } from '../ports.ts';
import { inParallel } from '../restore/inParallel.ts';
import { holdsInStore } from '../snapshot/legalHold.ts';
import { checkManifest } from '../snapshot/manifest.ts';
import { applyRetention } from '../snapshot/retention.ts';
import type { ManifestFacts } from './replicate.ts';
import type { Primary } from './status.ts';

/** Those that retention keeps, with all that they need; any moment of the last `daily` days stays reachable. */
export function keptBy(
  retention: { readonly daily: number; readonly weekly: number; readonly monthly: number },
  now: Moment,
  held: ReadonlySet<string>,
): (facts: readonly ManifestFacts[]) => Set<string> {
  const policy = { rules: [retention], everyMomentForDays: retention.daily };
  return (facts) => {
    const backups = facts.map(({ id, tenant, type, parent, horizon, log, consistentFrom }) => {
      const few = { id, tenant, type, parent, horizon, logFrom: log.fromMoment, legalHold: held.has(id) };
      return consistentFrom === undefined ? few : { ...few, consistentFrom };
    });
    return new Set(applyRetention(backups, policy, formatMoment(now)).keep.map(({ id }) => id));
  };
}

/** Ids of the primary's backups that a location with that retention should have. Reads every manifest of the primary. */
export async function wantedAt(
  store: ObjectStore,
  trust: Trust,
  { storeId, refs }: Primary,
  retention: Parameters<typeof keptBy>[0],
  now: Moment,
): Promise<ReadonlySet<string>> {
  const facts: ManifestFacts[] = [];
  await inParallel(refs, 8, async ({ name }) => {
    try {
      facts.push(await checkManifest(trust, await store.get(name), name, storeId!));
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error; // damaged: it would not be copied either
    }
  });
  return keptBy(retention, now, await holdsInStore(store))(facts);
}

/** Those of a tenant alone (all, without one) that were finished since a moment, and what they stand on. */
export function since(options: {
  readonly tenant?: string | undefined;
  readonly since?: Moment | undefined;
}): (facts: readonly ManifestFacts[]) => Set<string> {
  const from = options.since === undefined ? '' : formatMoment(options.since);
  return (facts) => {
    const byId = new Map(facts.map((f) => [f.id, f]));
    const chosen = new Set<string>();
    for (const { id, tenant, finishedAt } of facts) {
      if ((options.tenant !== undefined && tenant !== options.tenant) || finishedAt < from) continue;
      for (let at = byId.get(id); at && !chosen.has(at.id); at = byId.get(at.parent ?? '')) {
        chosen.add(at.id);
        if (at.type === 'full') break;
      }
    }
    return chosen;
  };
}
