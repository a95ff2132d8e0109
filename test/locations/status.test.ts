import { expect, test } from '@jest/globals';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { systemClock } from '../../adapters/local/systemClock.ts';
import { parseSettings } from '../../core/datamap/settings.ts';
import { StoreError } from '../../core/errors.ts';
import { publicKeyFile, trustFile } from '../../core/history/seal/publicKeys.ts';
import { lastCheck, writeCheck } from '../../core/locations/checkRecord.ts';
import { replicate } from '../../core/locations/replicate.ts';
import { type LocationStatus, locationStatus, readPrimary } from '../../core/locations/status.ts';
import { threeTwoOne } from '../../core/locations/threeTwoOne.ts';
import { verifyStore } from '../../core/locations/verifyStore.ts';
import { aWorld, emptyPlace, readOnly } from './support.ts';

const MAP = 'version: 1\ntenant: orgs(id)\ntables:\n  orgs: {tenant: id}\n';
const LOCATIONS = `store: s3://main?region=eu-west-1
locations:
  primary: {medium: object storage, site: Dublin}
  paris: {kind: secondary, store: "s3://copy/a?region=eu-west-3", retention: {daily: 30}}
  nas: {kind: secondary, store: /mnt/nas}
  tapes: {kind: tertiary, store: /mnt/tape, medium: tape, site: a bank}
  vault:
    kind: air_gapped
    store: s3://vault?endpoint=https://objects.example.com
    lock: {mode: compliance, days: 400}
`;

test('locations are read, with the primary first and defaults that follow from where they are', () => {
  expect(parseSettings(MAP + LOCATIONS).locations).toEqual([
    { name: 'primary', kind: 'primary', store: 's3://main?region=eu-west-1', medium: 'object storage', site: 'Dublin' },
    {
      name: 'paris',
      kind: 'secondary',
      store: 's3://copy/a?region=eu-west-3',
      medium: 'object storage',
      site: 'S3 eu-west-3',
      retention: { daily: 30, weekly: 0, monthly: 0 },
    },
    { name: 'nas', kind: 'secondary', store: '/mnt/nas', medium: 'disk', site: 'here' },
    { name: 'tapes', kind: 'tertiary', store: '/mnt/tape', medium: 'tape', site: 'a bank' },
    {
      name: 'vault',
      kind: 'air_gapped',
      store: 's3://vault?endpoint=https://objects.example.com',
      medium: 'object storage',
      site: 'objects.example.com',
      lock: { mode: 'compliance', days: 400 },
    },
  ]);
});

test.each([
  [
    'kind: secondary, store: /mnt/nas',
    'kind: second, store: /mnt/nas',
    'one of secondary, tertiary, air_gapped, got "second"',
  ],
  ['kind: secondary, store: /mnt/nas', 'store: /mnt/nas', '"kind:" for location nas'],
  ['kind: secondary, store: /mnt/nas', 'kind: secondary', '"store:" for location nas'],
  ['/mnt/nas', '/mnt/tape', 'a place of its own for each location, got "/mnt/tape" twice'],
  ['/mnt/nas', 's3://main?region=eu-west-1', 'a place of its own for each location'],
  ['  nas:', '  "n/s":', 'a name of letters'],
  ['mode: compliance', 'mode: hard', 'a mode: compliance, governance'],
  ['days: 400', 'days: 0', 'days of lock, from 1 to 36500, got 0'],
  ['site: Dublin', 'store: /x', 'one of medium, site'],
  ['daily: 30', 'daily: many', 'a number of backups to keep'],
  ['retention: {daily', 'retentoin: {daily', 'Did you mean retention?'],
])('refuses %s as %s', (good, bad, message) => {
  expect(LOCATIONS).toContain(good);
  expect(() => parseSettings(MAP + LOCATIONS.replace(good, bad))).toThrow(message);
});

const about = (name: string, kind: LocationStatus['kind'], site: string, medium = 'disk') => {
  return { name, kind, site, medium, store: '/unused' };
};

test('a status tells what is there, how far behind, and when it was last verified', async () => {
  const { store, keys, laterFull, tenantFull } = await aWorld();
  const target = await emptyPlace('directory');
  const primary = await readPrimary(store, keys);
  const paris = about('paris', 'secondary', 'Paris');
  expect(await locationStatus(paris, target, keys, primary)).toMatchObject({ state: 'empty', backups: 0, missing: 4 });

  const older = new Set([tenantFull.id]);
  await replicate({ source: store, target, trust: keys, keys, select: () => older });
  const behind = await locationStatus(paris, target, keys, primary);
  expect(behind).toMatchObject({
    state: 'behind',
    backups: 1,
    missing: 3,
    reaches: tenantFull.horizon,
    secondsBehind: 86_400,
  });
  expect(await locationStatus(paris, target, keys, primary, older)).toMatchObject({ state: 'current', missing: 0 });

  await replicate({ source: store, target, trust: keys, keys });
  await writeCheck(
    { store: target, clock: systemClock, keys },
    await verifyStore({ store: target, trust: keys, keys }),
  );
  const status = await locationStatus(paris, target, keys, primary);
  expect(status).toMatchObject({
    state: 'current',
    backups: 4,
    missing: 0,
    reaches: laterFull.horizon,
    secondsBehind: 0,
    verified: { backups: 4, faults: 0, signed: true },
  });
});

test('a note of a verification that nobody who is trusted signed counts for nothing, or is called unsigned', async () => {
  const { store, keys, otherKeys } = await aWorld();
  const verdict = await verifyStore({ store, trust: keys });
  const clock = { now: () => 1_800_000_000_000_000n };
  await writeCheck({ store, clock, keys: otherKeys }, verdict);
  expect(await lastCheck(store, verdict.store, keys)).toBeUndefined();
  await writeCheck({ store, clock: { now: () => 1_700_000_000_000_000n } }, verdict);
  const trust = trustFile(await publicKeyFile(keys));
  expect(await lastCheck(store, verdict.store, trust)).toMatchObject({
    signed: false,
    at: '2023-11-14T22:13:20.000000Z',
  });
});

test('a place with another store is broken; an air-gapped one that lets nobody in is closed', async () => {
  const { store, twin, keys } = await aWorld();
  const primary = await readPrimary(store, keys);
  expect(await locationStatus(about('x', 'secondary', 'X'), twin, keys, primary)).toMatchObject({
    state: 'broken',
    problem: { code: 'HF_LOCATION_FOREIGN' },
  });
  const denied = new StoreError('HF_STORE_DENIED', 'no', { action: 'x' });
  const shut = { ...readOnly(store), head: () => Promise.reject(denied) };
  expect(await locationStatus(about('x', 'air_gapped', 'X'), shut, keys, primary)).toMatchObject({ state: 'closed' });
  expect(await locationStatus(about('x', 'secondary', 'X'), shut, keys, primary)).toMatchObject({ state: 'broken' });
});

test('the others can be looked at when the primary is lost', async () => {
  const { store, keys } = await aWorld();
  const target = await emptyPlace('directory');
  await replicate({ source: store, target, trust: keys, keys });
  const none = DirectoryStore.open('/nowhere/at/all');
  await expect(readPrimary(none, keys)).rejects.toMatchObject({ code: 'HF_OBJECT_MISSING' });
  const lost = { storeId: undefined, refs: [], files: [], reaches: undefined };
  expect(await locationStatus(about('x', 'secondary', 'X'), target, keys, lost)).toMatchObject({
    state: 'current',
    backups: 4,
  });
});

const one = (
  name: string,
  kind: LocationStatus['kind'],
  site: string,
  medium: string,
  more: Partial<LocationStatus> = {},
) => {
  const status: LocationStatus = {
    name,
    kind,
    site,
    medium,
    where: name,
    state: 'current',
    backups: 3,
    missing: 0,
    secondsBehind: 0,
  };
  return { ...status, ...more };
};
const home = one('primary', 'primary', 'here', 'disk');

test.each<[string, LocationStatus[], Partial<ReturnType<typeof threeTwoOne>>]>([
  ['the store alone', [home], { ok: false, copies: 2, media: ['disk'], offSite: [] }],
  [
    'two disks of one room',
    [home, one('nas', 'secondary', 'here', 'disk')],
    {
      ok: false,
      copies: 3,
      missing: [
        expect.stringContaining('second kind of medium'),
        expect.stringContaining('off-site'),
      ] as unknown as string[],
    },
  ],
  [
    'a bucket elsewhere',
    [home, one('s3', 'secondary', 'S3', 'object storage')],
    { ok: true, copies: 3, media: ['disk', 'object storage'], offSite: ['s3'], missing: [] },
  ],
  [
    'a bucket that is behind',
    [home, one('s3', 'secondary', 'S3', 'object storage', { secondsBehind: 2 * 86_400 })],
    { ok: false, copies: 2 },
  ],
  ['tapes of last week', [home, one('tape', 'tertiary', 'bank', 'tape', { secondsBehind: 7 * 86_400 })], { ok: true }],
  [
    'an empty bucket',
    [home, one('s3', 'secondary', 'S3', 'object storage', { backups: 0, state: 'empty' })],
    { ok: false, copies: 2 },
  ],
  [
    'a vault that cannot be seen',
    [home, one('v', 'air_gapped', 'S3', 'object storage', { state: 'closed' })],
    { ok: false, copies: 2 },
  ],
  [
    'a copy with faults',
    [
      home,
      one('s3', 'secondary', 'S3', 'tape', {
        verified: { at: '2026-01-01', store: '', backups: 1, bytes: 1, faults: 2, signed: true },
      }),
    ],
    { ok: false, copies: 2 },
  ],
])('3-2-1: %s', (_, locations, expected) => {
  expect(threeTwoOne(locations)).toMatchObject(expected);
});
