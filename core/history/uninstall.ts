import type { Client } from '../sql.ts';
import { underLock } from './lock.ts';

/**
 * Removes everything: event triggers, triggers and functions, the schema with the history in it. Does nothing when Holdfast is
 * not installed. @throws DatabaseError HF_LOCK_TIMEOUT, HF_RIGHTS_MISSING
 */
export async function uninstall(client: Client, options: { lockTimeout?: number } = {}): Promise<void> {
  await underLock(client, options.lockTimeout ?? 10_000, async () => {
    await client.query('drop event trigger if exists holdfast_ddl');
    await client.query('drop event trigger if exists holdfast_drop');
    await client.query('drop event trigger if exists holdfast_rewrite');
    // Triggers depend on their functions and go with them.
    await client.query('drop schema if exists holdfast cascade');
  });
}
