import * as z from 'zod';
import { lackingFiles } from '../../core/locations/fileSteps.ts';
import { replicate } from '../../core/locations/replicate.ts';
import { inParallel } from '../../core/restore/inParallel.ts';
import { checkManifest, listManifests } from '../../core/snapshot/manifest.ts';
import { readMarker } from '../../core/snapshot/store.ts';
import { execution } from '../backup/request.ts';
import { itemsOver, keep } from '../reference.ts';
import { lambda, task } from '../task.ts';
import type { ObjectBatch, Pull } from './pull.ts';

/** What one call copies in its time, in both of its measures. */
const BATCH_BYTES = 2 * 2 ** 30;
const BATCH_OBJECTS = 200;
const READERS = 16;

/**
 * Marker, keys and notes are copied here; of the backups that are missing, batches of objects are listed; of
 * users' files, whose there are.
 */
export const work = task({
  input: z.object({ execution, request: z.strictObject({}) }),
  run: async (ctx, { execution }) => {
    const { source, store, trust } = ctx;
    const keys = await replicate({ source, target: store, trust, select: () => new Set(), files: false });
    const { id } = await readMarker(store, trust);
    const have = new Set((await listManifests(store)).map(({ name }) => name));
    const missing = (await listManifests(source)).filter(({ name }) => !have.has(name));
    const sizes = await inParallel(missing, READERS, async (ref) => {
      const { objects } = await checkManifest(trust, await source.get(ref.name), ref.name, id);
      return objects.map(({ size }) => size);
    });
    const files = await lackingFiles({ source, target: store, trust }, id);
    const found: Pull = {
      manifests: missing.map(({ name }) => name),
      fileRuns: files.runs,
      batches: [
        ...sizes.flatMap((of, manifest) => batchesOf(manifest, of)),
        ...files.tenants.map((tenants) => ({ tenants })),
      ],
    };
    const pull = await keep(store, execution, 'pull', found, Number(ctx.clock.now() / 1000n));
    const { documents, faults } = keys;
    return {
      execution,
      backups: pull.manifests.length,
      fileRuns: pull.fileRuns.length,
      documents,
      faults: faults.length,
      items: itemsOver(pull.batches),
    };
  },
});

function batchesOf(manifest: number, sizes: readonly number[]): ObjectBatch[] {
  const batches: ObjectBatch[] = [];
  let from = 0;
  let bytes = 0;
  for (const [index, size] of sizes.entries()) {
    if (index > from && (bytes + size > BATCH_BYTES || index - from >= BATCH_OBJECTS)) {
      batches.push({ manifest, from, to: index });
      from = index;
      bytes = 0;
    }
    bytes += size;
  }
  return [...batches, { manifest, from, to: sizes.length }];
}

export const handler = lambda(work);
