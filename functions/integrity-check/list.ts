import * as z from 'zod';
import { HoldfastError } from '../../core/errors.ts';
import { inParallel } from '../../core/restore/inParallel.ts';
import { listManifests, readManifest } from '../../core/snapshot/manifest.ts';
import { execution } from '../backup/request.ts';
import { itemsOver, keep } from '../reference.ts';
import { lambda, task } from '../task.ts';
import type { Part } from './part.ts';

/** Stored bytes that one function reads and opens in its time, with room to spare. */
const PART_BYTES = 8 * 2 ** 30;
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
    const list = await keep(ctx.store, execution, 'parts', parts.flat(), Number(ctx.clock.now() / 1000n));
    return { execution, backups: wanted.length, items: itemsOver(list) };
  },
});

export const handler = lambda(work);
