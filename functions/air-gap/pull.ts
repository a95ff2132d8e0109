import * as z from 'zod';
import { checkObject, copyObject } from '../../core/locations/copyObject.ts';
import { silentProgress } from '../../core/ports.ts';
import { checkManifest } from '../../core/snapshot/manifest.ts';
import { readMarker } from '../../core/snapshot/store.ts';
import { execution } from '../backup/request.ts';
import { kept } from '../reference.ts';
import { isCode, lambda, task } from '../task.ts';

/** What an execution pulls: names of manifests, and of which of them which objects, from inclusive and to exclusive. */
export interface Pull {
  readonly manifests: readonly string[];
  readonly batches: readonly Batch[];
}

export interface Batch {
  readonly manifest: number;
  readonly from: number;
  readonly to: number;
}

/** Copies the objects of a batch that are not here, each held against the signed digest on its way, until the time is nearly over. */
export const work = task({
  input: z.object({ execution, batch: z.int().min(0) }),
  run: async (ctx, { execution, batch }) => {
    const { source, store, trust } = ctx;
    const { manifests, batches } = await kept<Pull>(store, execution, 'pull');
    const { manifest, from, to } = batches[batch]!;
    const name = manifests[manifest]!;
    const { id } = await readMarker(store, trust);
    const { objects } = await checkManifest(trust, await source.get(name), name, id);
    for (const object of objects.slice(from, to)) {
      if (ctx.remaining() <= 0) return { done: false };
      if (await store.head(object.name)) continue;
      try {
        await copyObject(source, store, object.name, object, silentProgress);
      } catch (error) {
        if (!isCode(error, 'HF_OBJECT_EXISTS')) throw error;
        await checkObject(store, object.name, object); // another attempt was first
      }
    }
    return { done: true };
  },
});

export const handler = lambda(work);
