/** What every operation on requests begins with: a connection of its own, and runs that died put right. */
import type { Context } from '../../context.ts';
import { ConfigError, RestoreError } from '../../errors.ts';
import { type Client, connect } from '../../sql.ts';
import { settleRequests } from './settle.ts';

export async function withRequests<T>(ctx: Context, work: (client: Client) => Promise<T>): Promise<T> {
  if (!ctx.databaseUrl) {
    throw new RestoreError('HF_DATABASE_URL', 'Restore requests are kept in the live database, and none was named.', {
      action: 'Pass --database-url.',
    });
  }
  const client = await connect(ctx.databaseUrl, 'holdfast-requests');
  try {
    await settleRequests(client);
    return await work(client);
  } finally {
    await client.end();
  }
}

/** @throws ConfigError HF_ARGUMENT_INVALID when nobody is named */
export function named(by: string): string {
  if (by.trim() !== '') return by.trim();
  throw new ConfigError('HF_ARGUMENT_INVALID', 'Nobody was named who does this.', {
    action: 'Pass --by with the name or address of the person.',
    details: { got: by },
  });
}
