/** What a location has, how far it is behind the primary, and what keeps it from being removed. */
import type { LocationSetting } from '../datamap/locations.ts';
import { HoldfastError, StoreError } from '../errors.ts';
import { listFileManifests } from '../files/manifest.ts';
import type { ObjectLock, ObjectStore, Trust } from '../ports.ts';
import { checkManifest, listManifests, type ManifestRef } from '../snapshot/manifest.ts';
import { MARKER, readMarker } from '../snapshot/store.ts';
import { type CheckRecord, lastCheck } from './checkRecord.ts';
import { isLocking } from './copyObject.ts';

export interface LocationStatus extends Omit<LocationSetting, 'store' | 'lock' | 'retention'> {
  readonly where: string;
  /**
   * current: it has every backup that it should. behind: it lacks some. empty: it has none. closed: it cannot be looked into from
   * here, as it should be with an air-gapped one. broken: it holds something else, or cannot be used.
   */
  readonly state: 'current' | 'behind' | 'empty' | 'closed' | 'broken';
  readonly backups: number;
  /** Backups of the primary that it lacks. */
  readonly missing: number;
  /** Backups of users' files, and those that it lacks; undefined where there are none. */
  readonly files?: { readonly runs: number; readonly missing: number };
  /** The latest moment that it restores to; undefined when it has none. */
  readonly reaches?: string;
  /** By how many seconds that is before what the primary restores to. */
  readonly secondsBehind?: number;
  /** Lock of its newest manifest, asked of the place itself. */
  readonly lock?: ObjectLock;
  readonly verified?: CheckRecord;
  /** Why it is closed or broken. */
  readonly problem?: { readonly code: string; readonly message: string };
}

/** What the primary has, to compare others with. */
export interface Primary {
  /** undefined when it cannot be read: then nothing is behind it, and nothing foreign to it. */
  readonly storeId: string | undefined;
  readonly refs: readonly ManifestRef[];
  /** Ids of backups of users' files. */
  readonly files: readonly string[];
  readonly reaches: string | undefined;
}

/** @throws StoreError, KeyError, IntegrityError when the primary itself cannot be used */
export async function readPrimary(store: ObjectStore, trust: Trust): Promise<Primary> {
  const { id: storeId } = await readMarker(store, trust);
  const refs = await listManifests(store);
  const files = (await listFileManifests(store)).map(({ id }) => id);
  return { storeId, refs, files, reaches: await newestHorizon(store, trust, storeId, refs) };
}

/**
 * @param wanted ids that the location should have; with retention of its own, those that it keeps @default all of the primary
 * @throws nothing of the location's own: what is wrong with it is in the answer
 */
export async function locationStatus(
  location: LocationSetting,
  store: ObjectStore,
  trust: Trust,
  primary: Primary,
  wanted?: ReadonlySet<string>,
): Promise<LocationStatus> {
  const { name, kind, medium, site } = location;
  const about = { name, kind, medium, site, where: store.description };
  try {
    if (!(await store.head(MARKER))) return { ...about, state: 'empty', backups: 0, missing: primary.refs.length };
    const { id } = await readMarker(store, trust);
    if (primary.storeId !== undefined && id !== primary.storeId) {
      const message = `It holds another store than the primary location.`;
      return {
        ...about,
        state: 'broken',
        backups: 0,
        missing: primary.refs.length,
        problem: { code: 'HF_LOCATION_FOREIGN', message },
      };
    }
    const refs = await listManifests(store);
    const there = new Set(refs.map((ref) => ref.id));
    const missing = primary.refs.filter((ref) => !there.has(ref.id) && (wanted?.has(ref.id) ?? true)).length;
    const reaches = await newestHorizon(store, trust, id, refs);
    const newest = refs.at(-1);
    const lock = newest && isLocking(store) ? await store.lockOf(newest.name) : undefined;
    const verified = await lastCheck(store, id, trust);
    const runs = new Set((await listFileManifests(store)).map((run) => run.id));
    const files = { runs: runs.size, missing: primary.files.filter((run) => !runs.has(run)).length };
    return {
      ...about,
      state: missing + files.missing > 0 ? 'behind' : refs.length > 0 ? 'current' : 'empty',
      backups: refs.length,
      missing,
      ...(files.runs + files.missing > 0 ? { files } : {}),
      ...(reaches === undefined ? {} : { reaches }),
      ...(reaches === undefined || primary.reaches === undefined
        ? {}
        : { secondsBehind: Math.max(0, (Date.parse(primary.reaches) - Date.parse(reaches)) / 1000) }),
      ...(lock ? { lock } : {}),
      ...(verified ? { verified } : {}),
    };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    const { code, message } = error;
    const state = kind === 'air_gapped' && error instanceof StoreError ? 'closed' : 'broken';
    return { ...about, state, backups: 0, missing: primary.refs.length, problem: { code, message } };
  }
}

/** Of the newest manifest that holds; names sort by when a backup began, so the newest few are enough to look at. */
async function newestHorizon(
  store: ObjectStore,
  trust: Trust,
  storeId: string,
  refs: readonly ManifestRef[],
): Promise<string | undefined> {
  const horizons: string[] = [];
  for (const { name } of refs.slice(-5)) {
    try {
      horizons.push((await checkManifest(trust, await store.get(name), name, storeId)).horizon);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error; // damaged: another tells
    }
  }
  return horizons.sort().at(-1);
}
