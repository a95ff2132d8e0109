/** The record of an execution that failed. */
import * as z from 'zod';
import { ConfigError } from '../core/errors.ts';
import { connect } from '../core/sql.ts';
import { caughtError, type TaskContext } from './task.ts';

/** What every definition's RecordFailure passes on. */
export const failedState = z.object({
  workflow: z.string().min(1),
  execution: z.string().min(1),
  state: z.looseObject({ error: z.object({ Error: z.string(), Cause: z.string().default('') }).optional() }),
});

/** One line in the log of steps; an execution has one, however often it is told. */
export async function recordFailure(
  ctx: TaskContext,
  { workflow, execution, state }: z.infer<typeof failedState>,
  backup: string | null,
): Promise<void> {
  if (ctx.databaseUrl === undefined) {
    throw new ConfigError('HF_DATABASE_URL', 'The record of a failure needs the database.', {
      action: 'Give this function the secret of the database.',
    });
  }
  const detail = JSON.stringify({ execution, ...caughtError(state.error) });
  const client = await connect(ctx.databaseUrl, 'holdfast-record');
  try {
    await client.query(
      `insert into holdfast.tenant_backup_logs (backup_id, tenant, step, result, detail)
       select $1, (select tenant from holdfast.tenant_backups where id = $1), $2, 'failed', $3
        where not exists (select from holdfast.tenant_backup_logs
                           where step = $2 and result = 'failed' and detail ->> 'execution' = $4)`,
      [backup, `workflow:${workflow}`, detail, execution],
    );
  } finally {
    await client.end();
  }
}
