import * as z from 'zod';
import { checkFiles, type FileFault } from '../../core/files/check.ts';
import { validate } from '../../core/snapshot/validate.ts';
import { execution } from '../backup/request.ts';
import { entriesOf, keep, kept } from '../reference.ts';
import { lambda, task } from '../task.ts';
import type { Part } from './part.ts';

/** Every byte of an item's parts. What is wrong is kept beside the list; only its number comes back. */
export const work = task({
  input: z.object({ execution, item: z.int().min(0) }),
  run: async (ctx, { execution, item }) => {
    const found: { backup: string; faults: readonly unknown[] }[] = [];
    const parts = await kept<Part[]>(ctx.store, execution, 'parts');
    for (const at of entriesOf(parts, item)) {
      const { backup, number, of, files } = parts[at]!;
      const how = { deep: true, part: { number, of } };
      const faults = files
        ? (await checkFiles(ctx, { run: backup, ...how })).faults.map(withoutName)
        : (await validate(ctx, backup, how)).faults;
      if (faults.length > 0) found.push({ backup, faults });
    }
    const now = Number(ctx.clock.now() / 1000n);
    if (found.length > 0) await keep(ctx.store, execution, `faults-${item}`, found, now);
    return { faults: found.reduce((sum, { faults }) => sum + faults.length, 0) };
  },
});

/** Names of users' files may tell of somebody: none is kept in the store. */
const withoutName = ({ object, code, message }: FileFault) => ({ object, code, message });

export const handler = lambda(work);
