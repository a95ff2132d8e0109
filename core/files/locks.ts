/**
 * Who may work on the file backups of a store. Contents are shared between runs, so while cleanup looks for those that no run names,
 * no run may begin to name one.
 */
import type pg from 'pg';
import { StoreError } from '../errors.ts';

const CLEANUP = 'holdfast.files';
const key = 'hashtextextended($1, 0)';

export interface Held {
  /** @throws StoreError HF_FILES_BUSY when the connection, and so the lock, was lost */
  readonly mustHold: () => Promise<void>;
}

/** Until the connection ends. @throws StoreError HF_FILES_BUSY */
export async function lockForBackup(client: pg.Client, scope: string | null): Promise<Held> {
  const held = await lockForStep(client);
  const name = scope === null ? 'all tenants' : `tenant ${scope}`;
  const own = await ask(client, `select pg_try_advisory_lock(${key}) as got`, `holdfast.files ${scope ?? ''}`);
  if (!own) throw busy(`Another file backup of ${name} is running.`);
  return held;
}

/** For one of several processes that make a run: no cleanup comes between, and they do not keep each other out. Same errors. */
export async function lockForStep(client: pg.Client): Promise<Held> {
  const shared = await ask(client, `select pg_try_advisory_lock_shared(${key}) as got`, CLEANUP);
  if (!shared) throw busy('A cleanup of file backups is running.');
  return {
    async mustHold() {
      await client.query('select 1').catch((cause) => {
        throw busy('The connection that held the lock of this run was lost.', cause);
      });
    },
  };
}

/** Until the connection ends. @throws StoreError HF_FILES_BUSY */
export async function lockForCleanup(client: pg.Client): Promise<void> {
  if (!(await ask(client, `select pg_try_advisory_lock(${key}) as got`, CLEANUP)))
    throw busy('A file backup, or another cleanup, is running.');
}

async function ask(client: pg.Client, sql: string, name: string): Promise<boolean> {
  const { rows } = await client.query<{ got: boolean }>(sql, [name]);
  return rows[0]!.got;
}

const busy = (message: string, cause?: unknown): StoreError =>
  new StoreError('HF_FILES_BUSY', message, { cause, action: 'Run it again when that has ended. Nothing was changed.' });
