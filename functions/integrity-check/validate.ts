import * as z from 'zod';
import { validate } from '../../core/snapshot/validate.ts';
import { execution } from '../backup/request.ts';
import { keep, kept } from '../reference.ts';
import { lambda, task } from '../task.ts';
import type { Part } from './part.ts';

/** Every byte of one part. What is wrong is kept beside the list; only its number comes back. */
export const work = task({
  input: z.object({ execution, item: z.int().min(0) }),
  run: async (ctx, { execution, item }) => {
    const { backup, number, of } = (await kept<Part[]>(ctx.store, execution, 'parts'))[item]!;
    const { faults } = await validate(ctx, backup, { deep: true, part: { number, of } });
    const now = Number(ctx.clock.now() / 1000n);
    if (faults.length > 0) await keep(ctx.store, execution, `faults-${item}`, { backup, faults }, now);
    return { faults: faults.length };
  },
});

export const handler = lambda(work);
