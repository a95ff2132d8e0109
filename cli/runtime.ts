/** Puts the context of an operation together from holdfast.yaml, the environment and the command line. */
import { dirname, resolve } from 'node:path';
import type pg from 'pg';
import { noLedger } from '../adapters/local/noLedger.ts';
import { systemClock } from '../adapters/local/systemClock.ts';
import type { Context } from '../core/context.ts';
import { readMap, readSettings } from '../core/datamap/load.ts';
import type { LockSetting } from '../core/datamap/locations.ts';
import type { Settings } from '../core/datamap/settings.ts';
import { ConfigError } from '../core/errors.ts';
import type { KeyService, ObjectStore, PersonKeyStore, Trust } from '../core/ports.ts';
import { connect } from '../core/sql.ts';
import { stoppable } from './interrupt.ts';
import { inDynamo, openKeyService, openPersons } from './keys.ts';
import { placeToRead, trustOf } from './locations.ts';
import { progressBar } from './progressBar.ts';
import type { GlobalOptions } from './report.ts';

/** The URL from `--database-url` or HOLDFAST_DATABASE_URL. */
export function databaseUrl(options: GlobalOptions): string {
  const url = namedDatabase(options);
  if (url) return url;
  throw new ConfigError('HF_DATABASE_URL', 'No database was named.', {
    action: 'Pass --database-url postgres://user@host:5432/database, or set HOLDFAST_DATABASE_URL.',
  });
}

export const namedDatabase = (options: GlobalOptions): string | undefined =>
  options.databaseUrl ?? (process.env.HOLDFAST_DATABASE_URL || undefined);

export async function withDatabase<T>(options: GlobalOptions, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connect(databaseUrl(options));
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

export const settingsOf = async (options: GlobalOptions): Promise<Settings> =>
  located(await readSettings(options.config), options.config);

/** Paths in holdfast.yaml are relative to the file itself, so that commands work from any folder. */
export function located(settings: Settings, config: string): Settings {
  const base = dirname(resolve(config));
  return {
    ...settings,
    store: storeLocation(settings.store, base),
    keys: resolve(base, settings.keys),
    personKeys: inDynamo(settings.personKeys) ? settings.personKeys : resolve(base, settings.personKeys),
    locations: settings.locations.map((location) => ({ ...location, store: storeLocation(location.store, base) })),
    files: settings.files.map((set) => ({ ...set, from: storeLocation(set.from, base) })),
  };
}

/** A mistyped URL must not become a folder of that name: the backups would not be where their owner believes. */
export function storeLocation(store: string, base: string): string {
  if (store.startsWith('s3://')) return store;
  // One letter before the colon is a drive.
  if (!/^[a-z][a-z0-9+.-]+:/i.test(store)) return resolve(base, store);
  throw new ConfigError('HF_STORE_URL', `${JSON.stringify(store)} is neither a directory nor a place in S3.`, {
    action: 'Write store: as a path, or as s3://bucket/prefix, with ?endpoint=… for other S3-compatible stores.',
    details: { got: store },
  });
}

/**
 * @param needs `database` when the operation cannot work from the store alone
 */
export async function contextOf(options: GlobalOptions, needs: 'database' | 'store'): Promise<Context> {
  const settings = await settingsOf(options);
  const keys = await openKeyService(settings);
  const store = await openObjectStore(placeToRead(settings, options.location));
  const url = needs === 'database' ? databaseUrl(options) : namedDatabase(options);
  return {
    ...(url === undefined ? {} : { databaseUrl: url }),
    map: await readMap(options.config),
    store,
    keys,
    persons: await openPersons(settings, store, keys),
    ledger: noLedger,
    clock: systemClock,
    progress: stoppable(progressBar(!options.json && !options.quiet)),
  };
}

/**
 * `s3://bucket/prefix?endpoint=…&region=…`, else a directory. The AWS SDK is loaded only when it is used.
 * @param lock puts every object under it
 */
export async function openObjectStore(location: string, lock?: LockSetting): Promise<ObjectStore> {
  if (location.startsWith('s3://'))
    return (await import('../adapters/aws/s3Store.ts')).S3Store.open(location, {}, lock);
  if (lock) return (await import('../adapters/local/lockedDirectory.ts')).LockedDirectory.open(location);
  return (await import('../adapters/local/directoryStore.ts')).DirectoryStore.open(location);
}

/** The keys, or public keys alone: who only copies and verifies needs no more. */
export async function openKeys(
  settings: Settings,
  options: { readonly publicKey?: string },
): Promise<{ keys?: KeyService; persons?: PersonKeyStore; trust: Trust }> {
  if (options.publicKey !== undefined) return { trust: await trustOf(options.publicKey) };
  const keys = await openKeyService(settings);
  return { keys, persons: await openPersons(settings, await openObjectStore(settings.store), keys), trust: keys };
}
