import * as z from 'zod';
import { isCode } from '../../core/errors.ts';
import { checkObject, copyObject } from '../../core/locations/copyObject.ts';
import { copyTenantFiles } from '../../core/locations/fileSteps.ts';
import { silentProgress } from '../../core/ports.ts';
import { checkManifest } from '../../core/snapshot/manifest.ts';
import { readMarker } from '../../core/snapshot/store.ts';
import { execution } from '../backup/request.ts';
import { entriesOf, keep, kept } from '../reference.ts';
import { lambda, type TaskContext, task } from '../task.ts';

/** What an execution pulls: names of manifests, and in which pieces. */
export interface Pull {
  readonly manifests: readonly string[];
  /** Of backups of users' files. */
  readonly fileRuns: readonly string[];
  readonly batches: readonly (ObjectBatch | FileBatch)[];
}

/** Of a manifest which objects, from inclusive and to exclusive. */
export interface ObjectBatch {
  readonly manifest: number;
  readonly from: number;
  readonly to: number;
}

/** Users' files of these tenants, of all runs. */
export interface FileBatch {
  readonly tenants: readonly string[];
}

/**
 * Copies what of a batch is not here, until the time is nearly over: objects of backups held against the signed digest on their way, contents
 * of users' files as whole ones, their listings by digest again.
 */
export const work = task({
  input: z.object({ execution, batch: z.int().min(0) }),
  run: async (ctx, { execution, batch }) => {
    const { store, trust } = ctx;
    const { manifests, fileRuns, batches } = await kept<Pull>(store, execution, 'pull');
    const { id } = await readMarker(store, trust);
    for (const at of entriesOf(batches, batch)) {
      const what = batches[at]!;
      const done =
        'tenants' in what
          ? await pullFiles(ctx, id, { runs: fileRuns, tenants: what.tenants }, { execution, at })
          : await pullObjects(ctx, id, manifests[what.manifest]!, what);
      if (!done) return { done };
    }
    return { done: true };
  },
});

async function pullObjects(ctx: TaskContext, storeId: string, name: string, { from, to }: ObjectBatch) {
  const { source, store, trust } = ctx;
  const { objects } = await checkManifest(trust, await source.get(name), name, storeId);
  for (const object of objects.slice(from, to)) {
    if (ctx.remaining() <= 0) return false;
    if (await store.head(object.name)) continue;
    try {
      await copyObject(source, store, object.name, object, silentProgress);
    } catch (error) {
      if (!isCode(error, 'HF_OBJECT_EXISTS')) throw error;
      await checkObject(store, object.name, object); // another attempt was first
    }
  }
  return true;
}

/** What is damaged at the source is kept beside the list; the runs that name it are not sealed. */
async function pullFiles(
  { source, store, trust, clock, remaining }: TaskContext,
  storeId: string,
  which: Parameters<typeof copyTenantFiles>[2],
  { execution, at }: { readonly execution: string; readonly at: number },
) {
  const job = { source, target: store, trust, stop: () => remaining() <= 0 };
  const { done, faults } = await copyTenantFiles(job, storeId, which);
  if (faults.length > 0) await keep(store, execution, `faults-${at}`, faults, Number(clock.now() / 1000n));
  return done;
}

export const handler = lambda(work);
