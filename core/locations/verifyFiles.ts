/** Backups of users' files in a store: manifests by their signature, listings by digest, contents by opening them, or as whole ones. */
import { checkFiles } from '../files/check.ts';
import { listFileManifests, readFileManifest } from '../files/manifest.ts';
import { CONTENT } from '../files/names.ts';
import {
  type KeyService,
  type ObjectStore,
  type PersonKeyStore,
  type Progress,
  silentProgress,
  type Trust,
} from '../ports.ts';
import { checkObject } from './copyObject.ts';
import { faultOf } from './faultOf.ts';
import { wholeContent } from './fileContent.ts';
import type { DocumentFault } from './replicate.ts';

export interface FilesVerdict {
  readonly runs: number;
  readonly contents: number;
  /** Contents that nothing here could open: that they are whole was checked, and no more. */
  readonly unproven: number;
  readonly faults: readonly DocumentFault[];
}

/** @throws StoreError, KeyError when the store or the keys cannot be used at all */
export async function verifyFiles(
  job: {
    readonly store: ObjectStore;
    readonly trust: Trust;
    readonly keys?: KeyService | undefined;
    readonly persons?: PersonKeyStore | undefined;
    readonly progress?: Progress;
  },
  storeId: string,
): Promise<FilesVerdict> {
  const { store, trust, keys, persons, progress = silentProgress } = job;
  const refs = await listFileManifests(store);
  if (refs.length > 0 && keys && persons) {
    const { runs, contents, faults } = await checkFiles({ store, keys, persons, progress }, { all: true, deep: true });
    return { runs: runs.length, contents, unproven: 0, faults };
  }
  const faults: DocumentFault[] = [];
  const note = async (object: string, work: () => Promise<unknown>) => {
    try {
      await work();
    } catch (error) {
      const { code, message } = await faultOf(store, error);
      faults.push({ object, code, message });
    }
  };
  const pages = new Set<string>();
  for (const { name } of refs) {
    await note(name, async () => {
      const { tenants } = await readFileManifest({ store, keys: trust }, name, storeId);
      for (const { object, length, sha256 } of Object.values(tenants).flat()) {
        if (pages.has(object)) continue;
        pages.add(object);
        await note(object, () => checkObject(store, object, { size: length, sha256 }));
      }
    });
  }
  let contents = 0;
  for await (const { name, size } of store.list(CONTENT)) {
    contents++;
    await note(name, async () => {
      for await (const _ of wholeContent(store, name, size)) progress.advance(0);
    });
  }
  return { runs: refs.length, contents, unproven: contents, faults };
}
