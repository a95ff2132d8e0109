/** The context that the suite and the processes it kills share: one directory, one database. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DirectoryStore } from '../../../adapters/local/directoryStore.ts';
import { KeyFile } from '../../../adapters/local/keyFile.ts';
import { noLedger } from '../../../adapters/local/noLedger.ts';
import { openPersonKeys } from '../../../adapters/local/personKeyDirectory.ts';
import { systemClock } from '../../../adapters/local/systemClock.ts';
import type { Context } from '../../../core/context.ts';
import { type ObjectStore, silentProgress } from '../../../core/ports.ts';
import { sampleMap } from '../../../sample/map.ts';

export interface CrashContext extends Context {
  readonly databaseUrl: string;
}

export async function openContext(
  directory: string,
  databaseUrl: string,
  wrap: (store: ObjectStore) => ObjectStore = (store) => store,
): Promise<CrashContext> {
  await mkdir(directory, { recursive: true });
  const keyFile = join(directory, 'holdfast.key');
  const keys = existsSync(keyFile) ? await KeyFile.open(keyFile) : await KeyFile.create(keyFile);
  const store = DirectoryStore.open(join(directory, 'store'));
  return {
    databaseUrl,
    map: sampleMap(),
    store: wrap(store),
    keys,
    persons: openPersonKeys(join(directory, 'persons'), store, keys),
    ledger: noLedger,
    clock: systemClock,
    progress: silentProgress,
  };
}
