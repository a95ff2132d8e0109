import { bind } from '../../core/datamap/bind.ts';
import { databaseOf } from '../../core/snapshot/backup.ts';
import { checkDatabase } from '../../core/snapshot/checks.ts';
import { connectReader } from '../../core/snapshot/readers.ts';
import { openStore } from '../../core/snapshot/store.ts';
import { lambda, task } from '../task.ts';
import { backupStart } from './request.ts';

/** What can be wrong with place and request is found here, before anything is written but the marker of a new store. */
export const work = task({
  input: backupStart,
  run: async (ctx, { execution, request }) => {
    const client = await connectReader(databaseOf(ctx));
    try {
      await checkDatabase(client, await bind(client, ctx.map), request.tenant);
    } finally {
      await client.end();
    }
    await openStore(ctx, { create: true });
    await ctx.keys.sign(Buffer.from('holdfast: may this function sign?'));
    return { execution, request };
  },
});

export const handler = lambda(work);
