import * as z from 'zod';
import { maintain } from '../../core/history/maintain.ts';
import { databaseOf } from '../../core/snapshot/backup.ts';
import { connect } from '../../core/sql.ts';
import { execution } from '../backup/request.ts';
import { lambda, task } from '../task.ts';

const request = z.strictObject({ tenant: z.string().min(1).nullable().default(null) });

/** Closes the present moment and makes the partitions of the months to come. */
export const work = task({
  input: z.object({ execution, request }),
  run: async (ctx, { execution, request }) => {
    const client = await connect(databaseOf(ctx), 'holdfast-maintain');
    try {
      const { moment } = await maintain(client);
      return { execution, request, moment };
    } finally {
      await client.end();
    }
  },
});

export const handler = lambda(work);
