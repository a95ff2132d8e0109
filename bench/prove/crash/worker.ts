/** The process that is killed: does one job that its parent sends, through a store that may strike. */
import type { HoldfastError } from '../../../core/errors.ts';
import { type BackupOptions, backup } from '../../../core/snapshot/backup.ts';
import { type CleanupOptions, cleanup } from '../../../core/snapshot/cleanup.ts';
import { type Trap, TrapStore } from './trapStore.ts';
import { openContext } from './world.ts';

export type Job = {
  readonly directory: string;
  readonly databaseUrl: string;
  readonly trap?: Trap;
  /** Bytes until the disk is full. */
  readonly space?: number;
} & ({ readonly backup: BackupOptions } | { readonly cleanup: CleanupOptions });

export type Outcome =
  | { readonly ok: true; readonly backup?: string; readonly resumed?: number }
  | { readonly ok: false; readonly code: string; readonly message: string };

process.once('message', async (job: Job) => {
  let outcome: Outcome;
  try {
    const ctx = await openContext(job.directory, job.databaseUrl, (store) => new TrapStore(store, job.trap, job.space));
    if ('backup' in job) {
      const { manifest, resumed } = await backup(ctx, job.backup);
      outcome = { ok: true, backup: manifest.id, resumed };
    } else {
      await cleanup(ctx, job.cleanup);
      outcome = { ok: true };
    }
  } catch (error) {
    outcome = { ok: false, code: String((error as HoldfastError).code), message: (error as Error).message };
  }
  process.send!(outcome, () => process.disconnect());
});
