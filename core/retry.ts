/** Serialization failures, deadlocks and lock time-outs: other tenants write all the while, so an attempt may have to step back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseError } from './errors.ts';

const RETRYABLE = new Set(['40001', '40P01', '55P03']);
const ATTEMPTS = 8;

/**
 * Runs `attempt` until it gets through; it must leave nothing behind when it throws.
 * @throws DatabaseError HF_RESTORE_BUSY after 8 attempts, over about half a minute
 */
export async function withRetries<T>(attempt: () => Promise<T>): Promise<T> {
  for (let n = 1; ; n++) {
    try {
      return await attempt();
    } catch (error) {
      if (!isPassing(error)) throw error;
      if (n === ATTEMPTS) {
        throw new DatabaseError(
          'HF_RESTORE_BUSY',
          `The restore met other writers ${ATTEMPTS} times and gave way each time.`,
          {
            cause: error,
            action: 'Nothing was changed. Try again when the tenant is quieter, or stop its writers for the moment.',
          },
        );
      }
      await sleep(Math.random() * 50 * 2 ** n);
    }
  }
}

/** Whether the server gave up on a statement only because of others at work: in a new transaction it may well succeed. */
export const isPassing = (error: unknown): boolean => RETRYABLE.has(sqlState(error));

function sqlState(error: unknown): string {
  for (let e = error as { code?: string; cause?: unknown } | undefined; e; e = e.cause as typeof e) {
    if (e.code && RETRYABLE.has(e.code)) return e.code;
  }
  return '';
}
