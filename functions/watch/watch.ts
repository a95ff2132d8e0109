import * as z from 'zod';
import { applyFile } from '../../core/schedules/file.ts';
import { noticeOverdue } from '../../core/schedules/notice.ts';
import { databaseOf } from '../../core/snapshot/backup.ts';
import { connect } from '../../core/sql.ts';
import { execution } from '../backup/request.ts';
import { lambda, task } from '../task.ts';

/** A message names so many; all of them are in the catalog, and `holdfast schedules late` lists them. */
const NAMED = 50;

/** Scheduled backups that have not come, of each tenant and of the whole database, by what the catalog says of backups. */
export const work = task({
  input: z.object({ execution, request: z.strictObject({}) }),
  run: async (ctx, { execution }) => {
    const now = Number(ctx.clock.now() / 1000n);
    const client = await connect(databaseOf(ctx), 'holdfast-watch');
    try {
      await applyFile(client, ctx.settings.schedules, now); // what this installation runs is what is watched
      const { owed, noticed } = await noticeOverdue(client, { now, by: execution });
      return {
        owed,
        noticed: noticed.length,
        first: noticed.slice(0, NAMED).map(({ schedule, due, lastBackup }) => ({
          schedule: schedule.name,
          tenant: schedule.tenant,
          type: schedule.type,
          due: new Date(due).toISOString(),
          lastBackup: lastBackup === null ? null : new Date(lastBackup).toISOString(),
        })),
      };
    } finally {
      await client.end();
    }
  },
  measure: ({ owed }) => ({ Owed: owed }),
});

export const handler = lambda(work);
