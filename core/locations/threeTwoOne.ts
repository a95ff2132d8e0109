/**
 * The rule of 3-2-1: three copies of the data, on two kinds of media, one of them off-site. The database is the first copy; each
 * location that can be restored from is another.
 */
import type { LocationKind } from '../datamap/locations.ts';
import type { LocationStatus } from './status.ts';

/** What was lost with the others would be lost in a copy that is further behind than this, in hours. Media and vaults are filled less often. */
const MOST_HOURS_BEHIND: Readonly<Record<LocationKind, number>> = {
  primary: 0,
  secondary: 26,
  tertiary: 35 * 24,
  air_gapped: 100 * 24,
};

export interface ThreeTwoOne {
  readonly ok: boolean;
  /** Copies, the database among them. */
  readonly copies: number;
  readonly media: readonly string[];
  /** Names of locations at another site than the primary's. */
  readonly offSite: readonly string[];
  /** What to do, one sentence each; empty when the rule is kept. */
  readonly missing: readonly string[];
  /** Locations that do not count, and why. */
  readonly uncounted: readonly { readonly location: string; readonly because: string }[];
}

/** @param locations the primary first */
export function threeTwoOne(locations: readonly LocationStatus[]): ThreeTwoOne {
  const uncounted: { location: string; because: string }[] = [];
  const counted = locations.filter((location) => {
    const because = whyNot(location);
    if (because) uncounted.push({ location: location.name, because });
    return !because;
  });
  const home = locations[0]!.site;
  // The database runs on disks, whatever its backups are written on.
  const media = [...new Set(['disk', ...counted.map(({ medium }) => medium)])];
  const offSite = counted.filter(({ site }) => site !== home).map(({ name }) => name);
  const copies = 1 + counted.length;
  const missing = [
    ...(copies < 3
      ? [`${3 - copies === 1 ? 'One more copy' : 'Two more copies'}: add a location, or mend one that does not count.`]
      : []),
    ...(media.length < 2
      ? [`A second kind of medium than ${media[0]}: object storage, or media that are exported.`]
      : []),
    ...(offSite.length < 1 ? [`A copy off-site: a location at another site than "${home}".`] : []),
  ];
  return { ok: missing.length === 0, copies, media, offSite, missing, uncounted };
}

function whyNot({ kind, state, backups, problem, secondsBehind = 0, verified }: LocationStatus): string | undefined {
  if (state === 'closed') return 'it cannot be looked into from here; ask where it is';
  if (state === 'broken') return problem!.message;
  if (backups === 0) return 'it has no backup';
  if (verified && verified.faults > 0) return `faults were found in it on ${verified.at.slice(0, 10)}`;
  const hours = Math.floor(secondsBehind / 3600);
  if (hours > MOST_HOURS_BEHIND[kind]) return `it is ${hours} hours behind`;
  return undefined;
}
