import { DatabaseError } from '../errors.ts';
import { type Client, transaction } from '../sql.ts';

/**
 * One transaction that gives up rather than queue behind a long-running one: a waiting ALTER TABLE blocks everyone after it.
 * `milliseconds` is for each lock.
 * @throws DatabaseError HF_LOCK_TIMEOUT, HF_RIGHTS_MISSING
 */
export async function underLock<T>(client: Client, milliseconds: number, work: () => Promise<T>): Promise<T> {
  try {
    return await transaction(client, 'isolation level read committed', async () => {
      await client.query("select set_config('lock_timeout', $1, true)", [`${milliseconds}ms`]);
      return await work();
    });
  } catch (cause) {
    const { code, message } = cause as { code?: string; message: string };
    if (code === '55P03') {
      throw new DatabaseError('HF_LOCK_TIMEOUT', `A table stayed locked by someone else for ${milliseconds} ms.`, {
        cause,
        action: 'Run it again when no long transaction writes to the protected tables; nothing was changed.',
        details: { message },
      });
    }
    if (code === '42501') {
      throw new DatabaseError('HF_RIGHTS_MISSING', `PostgreSQL refused: ${message}.`, {
        cause,
        action: 'Run it as the owner of the protected tables, or grant what the message names; nothing was changed.',
        details: { message },
      });
    }
    throw cause;
  }
}
