/** A protected sample database with a store and keys, for tests of restores. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { KeyFile } from '../../adapters/local/keyFile.ts';
import { noLedger } from '../../adapters/local/noLedger.ts';
import { openPersonKeys } from '../../adapters/local/personKeyDirectory.ts';
import { systemClock } from '../../adapters/local/systemClock.ts';
import type { Context } from '../../core/context.ts';
import { bind } from '../../core/datamap/bind.ts';
import type { BoundMap } from '../../core/datamap/types.ts';
import { install } from '../../core/history/install.ts';
import { type ErasureLedger, silentProgress } from '../../core/ports.ts';
import { createSample } from '../../sample/create.ts';
import { sampleMap } from '../../sample/map.ts';
import type { SampleOptions } from '../../sample/shape.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

export interface ProtectedSample {
  readonly database: TestDatabase;
  readonly client: pg.Client;
  readonly ctx: Context;
  readonly bound: BoundMap;
  /** Ids of the tenants, in text order. */
  readonly tenants: readonly string[];
  drop(): Promise<void>;
}

export async function protectedSample(options: SampleOptions, serverUrl?: string): Promise<ProtectedSample> {
  const database = await createDatabase({ prefix: 'restore', ...(serverUrl ? { serverUrl } : {}) });
  const client = await database.client();
  await createSample(client, options);
  await client.query("select set_config('search_path', 'pg_catalog', false)");
  const map = sampleMap();
  await install(client, await bind(client, map));
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-restore-'));
  const store = DirectoryStore.open(join(folder, 'store'));
  const keys = await KeyFile.create(join(folder, 'keys.json'));
  const persons = openPersonKeys(join(folder, 'persons'), store, keys);
  const ctx: Context = {
    databaseUrl: database.url,
    map,
    store,
    keys,
    persons,
    ledger: noLedger,
    clock: systemClock,
    progress: silentProgress,
  };
  const { rows } = await client.query('select id::text from public.organizations order by 1');
  return {
    database,
    client,
    ctx,
    bound: await bind(client, map),
    tenants: rows.map((r) => r.id as string),
    async drop() {
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The first person of the first tenant, and a ledger that says that they were erased. */
export async function eraseOne({
  client,
  ctx,
  tenants,
}: ProtectedSample): Promise<{ person: string; ledger: ErasureLedger }> {
  const { rows } = await client.query(
    'select id::text from public.users where organization_id = $1 order by id limit 1',
    [tenants[0]],
  );
  const person = rows[0].id as string;
  const ref = (await ctx.persons.obtain(tenants[0]!, [person])).get(person)!.ref;
  return { person, ledger: { erased: async (tenant) => (tenant === tenants[0] ? [ref] : []) } };
}
