/** One restore in a process of its own, so that its memory and its time are its own. */
import { dirname, join } from 'node:path';
import { DirectoryStore } from '../../../adapters/local/directoryStore.ts';
import { KeyFile } from '../../../adapters/local/keyFile.ts';
import { noLedger } from '../../../adapters/local/noLedger.ts';
import { openPersonKeys } from '../../../adapters/local/personKeyDirectory.ts';
import { systemClock } from '../../../adapters/local/systemClock.ts';
import { silentProgress } from '../../../core/ports.ts';
import { type DatabaseRestore, restoreDatabase } from '../../../core/restore/database.ts';
import { restoreTenant, type TenantRestore } from '../../../core/restore/tenant.ts';
import { sampleMap } from '../../../sample/map.ts';
import { watchMemory } from './peakMemory.ts';

export interface RestoreJob {
  /** Of the store; the key file and the person keys stand beside it, as `protectedSample` lays them out. */
  readonly store: string;
  /** Into an empty database, or one tenant of a live one. */
  readonly into:
    | DatabaseRestore
    | (Pick<TenantRestore, 'tenant' | 'backup' | 'source'> & { readonly databaseUrl: string });
}

export interface RestoreFigures {
  /** Of the restore itself, without the start of the process. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMegabytes: number;
}

process.once('message', async ({ store: directory, into }: RestoreJob) => {
  const memory = watchMemory();
  const folder = dirname(directory);
  const store = DirectoryStore.open(directory);
  const keys = await KeyFile.open(join(folder, 'keys.json'));
  const persons = openPersonKeys(join(folder, 'persons'), store, keys);
  const ctx = {
    map: sampleMap(),
    store,
    keys,
    persons,
    ledger: noLedger,
    clock: systemClock,
    progress: silentProgress,
  };
  const cpu = process.cpuUsage();
  const began = performance.now();
  if ('targetUrl' in into) await restoreDatabase(ctx, into);
  else await restoreTenant({ ...ctx, databaseUrl: into.databaseUrl }, into);
  const seconds = (performance.now() - began) / 1000;
  const used = process.cpuUsage(cpu);
  const figures: RestoreFigures = {
    seconds,
    cpuSeconds: (used.user + used.system) / 1e6,
    peakMegabytes: memory.end(),
  };
  process.send!(figures, () => process.disconnect());
});
