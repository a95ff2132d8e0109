import * as z from 'zod';
import { HoldfastError } from '../../core/errors.ts';
import { listFileManifests, readFileManifest } from '../../core/files/manifest.ts';
import { manifestName } from '../../core/files/names.ts';
import { inParallel } from '../../core/restore/inParallel.ts';
import { listManifests, readManifest } from '../../core/snapshot/manifest.ts';
import { openStore } from '../../core/snapshot/store.ts';
import { execution } from '../backup/request.ts';
import { itemsOver, keep } from '../reference.ts';
import { lambda, type TaskContext, task } from '../task.ts';
import type { Part } from './part.ts';

/** Stored bytes that one function reads and opens in its time, with room to spare. */
const PART_BYTES = 8 * 2 ** 30;
/** The same of users' files: their own bytes, and how many there are, each of which is a request. */
const FILE_BYTES = 4 * 2 ** 30;
const FILES = 8192;
const READERS = 16;

const request = z.strictObject({
  /** null: every backup */
  tenant: z.string().min(1).nullable().default(null),
  /** Only so many of the newest. null: all */
  last: z.int().min(1).nullable().default(null),
});

/** Which backups are to be checked, the large ones in parts. */
export const work = task({
  input: z.object({ execution, request }),
  run: async (ctx, { execution, request: { tenant, last } }) => {
    const refs = await listManifests(ctx.store, tenant === null ? {} : { tenant });
    const wanted = last === null ? refs : refs.slice(-last);
    const parts = await inParallel(wanted, READERS, async (ref): Promise<Part[]> => {
      const bytes = await readManifest(ctx, ref).then(
        (manifest) => manifest.totals.bytes,
        (error: unknown) => {
          if (error instanceof HoldfastError) return 0; // the check itself will name the fault
          throw error;
        },
      );
      const of = Math.max(1, Math.ceil(bytes / PART_BYTES));
      return Array.from({ length: of }, (_, number) => ({ backup: ref.id, number, of }));
    });
    const all = [...parts.flat(), ...(await fileParts(ctx, tenant))];
    const list = await keep(ctx.store, execution, 'parts', all, Number(ctx.clock.now() / 1000n));
    return { execution, backups: wanted.length, items: itemsOver(list) };
  },
});

/**
 * The newest run of users' files of each scope: what it names is what would be restored, and most of it was written by those before.
 * @param tenant null: every scope
 */
async function fileParts({ store, keys }: TaskContext, tenant: string | null): Promise<Part[]> {
  const refs = (await listFileManifests(store)).filter(
    ({ id, name }) => tenant === null || name === manifestName(tenant, id),
  );
  const newest = [...new Map(refs.map((ref) => [ref.name.slice(0, ref.name.lastIndexOf('/')), ref])).values()];
  if (newest.length === 0) return [];
  const { id: storeId } = await openStore({ store, keys });
  const parts = await inParallel(newest, READERS, async ({ id, name }): Promise<Part[]> => {
    const { bytes, files } = await readFileManifest({ store, keys }, name, storeId).then(
      ({ totals }) => totals,
      (error: unknown) => {
        if (error instanceof HoldfastError) return { bytes: 0, files: 0 }; // the check itself will name the fault
        throw error;
      },
    );
    const of = Math.max(1, Math.ceil(bytes / FILE_BYTES), Math.ceil(files / FILES));
    return Array.from({ length: of }, (_, number) => ({ backup: id, number, of, files: true }));
  });
  return parts.flat();
}

export const handler = lambda(work);
