import * as z from 'zod';
import { IntegrityError } from '../../core/errors.ts';
import type { Signature } from '../../core/ports.ts';
import { signedBytes } from '../../core/snapshot/canonical.ts';
import { parseDocument } from '../../core/snapshot/store.ts';
import { lambda, task } from '../task.ts';

/** What was written reads back, and its signature holds. */
export const work = task({
  input: z.object({ name: z.string().startsWith('config/') }),
  run: async (ctx, { name }) => {
    const document = parseDocument(await ctx.store.get(name), name) as { signature: Signature };
    if (await ctx.keys.verify(signedBytes(document), document.signature)) return { verified: true };
    throw new IntegrityError('HF_CONFIG_SIGNATURE', `The signature of ${name} does not hold.`, {
      action: 'Start the workflow again after the object was removed; find out who changed it.',
      details: { object: name },
    });
  },
});

export const handler = lambda(work);
