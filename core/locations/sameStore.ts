/** A location is a copy of one store, and of no other. */
import { isCode, StoreError } from '../errors.ts';
import type { ObjectStore, Trust } from '../ports.ts';
import { MARKER, readMarker } from '../snapshot/store.ts';

const FOLDERS = ['manifests/', 'keys/', 'backups/'];

/**
 * Makes sure that the target is a copy of the source's store, or makes it one when it is empty.
 * @returns the id that both have
 * @throws StoreError HF_STORE_UNKNOWN, HF_LOCATION_FOREIGN; KeyError HF_KEY_WRONG; IntegrityError HF_STORE_MARKER
 */
export async function sameStore(job: {
  readonly source: ObjectStore;
  readonly target: ObjectStore;
  readonly trust: Trust;
}): Promise<string> {
  const { source, target, trust } = job;
  if (!(await source.head(MARKER))) {
    throw new StoreError('HF_STORE_UNKNOWN', `There is no Holdfast store in ${source.description}.`, {
      action: 'Check the path or the bucket and prefix; a first backup makes the store.',
    });
  }
  const { id } = await readMarker(source, trust);
  if (!(await target.head(MARKER))) {
    for (const folder of FOLDERS) await mustBeEmpty(target, folder);
    try {
      await target.put(MARKER, await source.get(MARKER));
      return id;
    } catch (error) {
      if (!isCode(error, 'HF_OBJECT_EXISTS')) throw error; // another run was first
    }
  }
  const got = (await readMarker(target, trust)).id;
  if (got === id) return id;
  throw new StoreError('HF_LOCATION_FOREIGN', `${target.description} holds another store than ${source.description}.`, {
    action: 'Give each store a place of its own; nothing was copied.',
    details: { expected: id, got },
  });
}

async function mustBeEmpty(target: ObjectStore, folder: string): Promise<void> {
  for await (const { name } of target.list(folder)) {
    throw new StoreError('HF_LOCATION_FOREIGN', `${target.description} holds ${name}, but no store's marker.`, {
      action: `Choose an empty place; or, where that marker was lost, copy ${MARKER} there from another copy of the store.`,
      details: { object: name },
    });
  }
}
