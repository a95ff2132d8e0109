import { copyFileItem } from '../../core/files/copyItem.ts';
import { databaseOf } from '../../core/snapshot/backup.ts';
import { lambda, task } from '../task.ts';
import { fileSets, filesItem, stepOf } from './request.ts';

/** Bytes per millisecond that a function surely reads, seals and writes. */
const PACE = 25_000;
/** A larger file would not be done before the function is stopped. */
const LARGEST = 16 * 2 ** 30;

/** Reads what has changed of the files of an item until it is done or the time is nearly over. The only one that reads users' buckets. */
export const work = task({
  input: filesItem,
  run: async (ctx, input) => {
    const limits = { stop: (bytes: number) => ctx.remaining() <= bytes / PACE, largest: LARGEST };
    const step = { ...stepOf(input), item: input.item };
    return copyFileItem({ ...ctx, databaseUrl: databaseOf(ctx) }, await fileSets(ctx), step, limits);
  },
});

export const handler = lambda(work);
