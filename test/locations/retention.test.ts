/** A location that keeps less than the primary: what cleanup removes there is not copied again, and nothing else is touched. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { replicate } from '../../core/locations/replicate.ts';
import { listManifests } from '../../core/snapshot/manifest.ts';
import { holdfast, listing } from '../cli/run.ts';
import { aWorld } from './support.ts';

test('cleanup at a location, by its own retention', async () => {
  const { directory, store, keys, tenantFull, laterFull } = await aWorld();
  await writeFile(
    join(directory, 'holdfast.yaml'),
    'version: 1\ntenant: orgs(id)\ntables:\n  orgs: {tenant: id}\nstore: ./store\nkeys: ./key.json\nperson_keys: ./persons\n' +
      'locations:\n  small: {kind: secondary, store: ./small, retention: {weekly: 0}}\n',
  );
  const before = await listing(store.directory);
  const small = DirectoryStore.open(join(directory, 'small'));
  await replicate({ source: store, target: small, trust: keys, keys });
  const removed = await holdfast(['cleanup', '--location', 'small', '--json'], { cwd: directory });
  expect(removed.json.remove).toHaveLength(2);
  const ids = async () => (await listManifests(small)).map(({ id }) => id);
  expect(await ids()).toEqual([tenantFull.id, laterFull.id]);
  const again = await holdfast(['replicate', '--json'], { cwd: directory });
  expect(again.json.locations).toMatchObject([{ copied: [], withheld: [], faults: [] }]);
  expect(await ids()).toEqual([tenantFull.id, laterFull.id]);
  const { json } = await holdfast(['locations', '--json'], { cwd: directory });
  expect(json.locations[1]).toMatchObject({ name: 'small', state: 'current', backups: 2, missing: 0 });
  expect(await listing(store.directory)).toEqual(before);
}, 60_000);
