/** Which backups of a store a copy of it should have. */
import { formatMoment, type Moment } from '../moment.ts';
import { applyRetention } from '../snapshot/retention.ts';
import type { ManifestFacts } from './replicate.ts';

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
