import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type pg from 'pg';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { KeyFile } from '../../adapters/local/keyFile.ts';
import { noLedger } from '../../adapters/local/noLedger.ts';
import { openPersonKeys, type PersonKeyDirectory } from '../../adapters/local/personKeyDirectory.ts';
import { systemClock } from '../../adapters/local/systemClock.ts';
import type { Context } from '../../core/context.ts';
import { bind } from '../../core/datamap/bind.ts';
import type { DataMap } from '../../core/datamap/types.ts';
import { install } from '../../core/history/install.ts';
import { silentProgress } from '../../core/ports.ts';
import { createSample } from '../../sample/create.ts';
import { sampleMap } from '../../sample/map.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

/** A protected database with a store, keys and person keys of its own. */
export interface World {
  readonly database: TestDatabase;
  readonly client: pg.Client;
  readonly ctx: Context & {
    readonly databaseUrl: string;
    readonly persons: PersonKeyDirectory;
    readonly store: DirectoryStore;
  };
  readonly directory: string;
}

export interface WorldOptions {
  readonly directory: string;
  readonly serverUrl?: string;
  /** Fills the empty database. @default the sample with 3 tenants */
  readonly fill?: (client: pg.Client) => Promise<unknown>;
  readonly map?: DataMap;
}

export async function makeWorld(options: WorldOptions): Promise<World> {
  const database = await createDatabase(options.serverUrl ? { serverUrl: options.serverUrl } : {});
  const client = await database.client();
  await (options.fill ?? ((c) => createSample(c, { tenants: 3 })))(client);
  const map = options.map ?? sampleMap();
  await install(client, await bind(client, map));
  return {
    database,
    client,
    ctx: await makeContext(options.directory, database.url, map),
    directory: options.directory,
  };
}

/** A context on `directory`, where keys and store are made when they are missing. */
export async function makeContext(directory: string, databaseUrl: string, map: DataMap): Promise<World['ctx']> {
  const folder = join(directory, `world-${randomBytes(4).toString('hex')}`);
  const store = DirectoryStore.open(join(folder, 'store'));
  const keys = await KeyFile.create(join(folder, 'holdfast.key'));
  const persons = openPersonKeys(join(folder, 'persons'), store, keys);
  return { databaseUrl, map, store, keys, persons, ledger: noLedger, clock: systemClock, progress: silentProgress };
}

export async function tenants(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query('select id::text from public.organizations order by id');
  return rows.map((row) => row.id);
}
