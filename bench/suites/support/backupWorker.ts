/** One backup in a process of its own, so that its memory and its time are its own. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DirectoryStore } from '../../../adapters/local/directoryStore.ts';
import { KeyFile } from '../../../adapters/local/keyFile.ts';
import { noLedger } from '../../../adapters/local/noLedger.ts';
import { openPersonKeys } from '../../../adapters/local/personKeyDirectory.ts';
import { systemClock } from '../../../adapters/local/systemClock.ts';
import { silentProgress } from '../../../core/ports.ts';
import { type BackupOptions, backup } from '../../../core/snapshot/backup.ts';
import { manifestName } from '../../../core/snapshot/store.ts';
import { sampleMap } from '../../../sample/map.ts';
import { watchMemory } from './peakMemory.ts';

export interface BackupJob {
  /** Holds store, key file and person keys; made when missing. */
  readonly directory: string;
  readonly databaseUrl: string;
  readonly options: BackupOptions;
}

export interface BackupFigures {
  /** Of `backup()`: checks, copying, reading back, manifest, catalog. */
  readonly seconds: number;
  /** Objects and manifest, as stored. */
  readonly bytes: number;
  readonly rawBytes: number;
  readonly type: string;
  readonly changes: number;
  readonly cpuSeconds: number;
  readonly peakMegabytes: number;
}

process.once('message', async ({ directory, databaseUrl, options }: BackupJob) => {
  const keyFile = join(directory, 'holdfast.key');
  const keys = existsSync(keyFile) ? await KeyFile.open(keyFile) : await KeyFile.create(keyFile);
  const store = DirectoryStore.open(join(directory, 'store'));
  const persons = openPersonKeys(join(directory, 'persons'), store, keys);
  const ports = { store, keys, persons, ledger: noLedger, clock: systemClock, progress: silentProgress };
  const memory = watchMemory();
  const cpu = process.cpuUsage();
  const { manifest, seconds } = await backup({ databaseUrl, map: sampleMap(), ...ports }, options);
  const used = process.cpuUsage(cpu);
  const { size } = (await store.head(manifestName(manifest.tenant, manifest.id)))!;
  const figures: BackupFigures = {
    seconds,
    bytes: manifest.totals.bytes + size,
    rawBytes: manifest.totals.rawBytes,
    type: manifest.type,
    changes: manifest.totals.changes,
    cpuSeconds: (used.user + used.system) / 1e6,
    peakMegabytes: memory.end(),
  };
  process.send!(figures, () => process.disconnect());
});
