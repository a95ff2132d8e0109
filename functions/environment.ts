/**
 * The context of a function, put together from its environment: once per process, but for the database's password, which rotates. What a
 * variable leads to is imported when it is set; a bundle holds no more than its variables ask for (functions/parts.ts).
 */
import { readFile } from 'node:fs/promises';
import type { KmsKeys } from '../adapters/aws/kmsKeys.ts';
import { noLedger } from '../adapters/local/noLedger.ts';
import { systemClock } from '../adapters/local/systemClock.ts';
import { parseMap } from '../core/datamap/parse.ts';
import { parseSettings } from '../core/datamap/settings.ts';
import { ConfigError } from '../core/errors.ts';
import type { FileSource } from '../core/files/source.ts';
import { trustFile } from '../core/history/seal/publicKeys.ts';
import { silentProgress } from '../core/ports.ts';
import { absent, type TaskContext } from './task.ts';

type Fixed = Omit<TaskContext, 'databaseUrl' | 'remaining'>;

/** Seconds for which a password is used before it is asked for again. */
const PASSWORD_SECONDS = 300;

let fixed: Promise<Fixed> | undefined;
let database: { readonly url: Promise<string>; readonly until: number } | undefined;

/** @throws ConfigError HF_FUNCTION_ENVIRONMENT, HF_MAP_INVALID; DatabaseError HF_DATABASE_SECRET */
export async function environmentContext(): Promise<Omit<TaskContext, 'remaining'>> {
  const secret = process.env.HOLDFAST_DATABASE_SECRET;
  if (!secret) return await fixedContext();
  if (!database || database.until < performance.now()) {
    const url = import('../adapters/aws/databaseSecret.ts').then(({ databaseUrl }) =>
      databaseUrl({ secret, env: process.env }),
    );
    url.catch(forgetDatabase);
    database = { url, until: performance.now() + PASSWORD_SECONDS * 1000 };
  }
  return { ...(await fixedContext()), databaseUrl: await database.url };
}

/** The next call asks for the password again. */
export function forgetDatabase(): void {
  database = undefined;
}

/** All of it that stays the same. Nothing is asked of any service for it. */
export function fixedContext(): Promise<Fixed> {
  fixed ??= fromEnvironment(process.env);
  fixed.catch(() => {
    fixed = undefined; // tried again, not remembered as failed
  });
  return fixed;
}

async function fromEnvironment(env: NodeJS.ProcessEnv): Promise<Fixed> {
  const path = need(env, 'HOLDFAST_MAP');
  const configuration = await readFile(path, 'utf8');
  const keys = (await keysOf(env)) ?? absent<KmsKeys>('key service', 'HOLDFAST_ROOT_KEY');
  const [stores, persons, snapshots] = await Promise.all([
    storesOf(env),
    personsOf(env, keys),
    snapshotsOf(env),
    env.HOLDFAST_DATABASE_SECRET && import('../adapters/aws/databaseSecret.ts'), // read now, used by each call
  ]);
  return {
    map: parseMap(configuration, path),
    settings: parseSettings(configuration, path),
    configuration,
    keys,
    persons,
    ...stores,
    ...snapshots,
    ledger: noLedger,
    clock: systemClock,
    progress: silentProgress,
    files: usersFiles(),
    trust: env.HOLDFAST_PUBLIC_KEYS
      ? trustFile(await readFile(env.HOLDFAST_PUBLIC_KEYS, 'utf8'))
      : env.HOLDFAST_ROOT_KEY
        ? keys
        : absent('public keys', 'HOLDFAST_PUBLIC_KEYS'),
  };
}

async function keysOf(env: NodeJS.ProcessEnv): Promise<KmsKeys | undefined> {
  if (!env.HOLDFAST_ROOT_KEY) return undefined;
  const { KmsKeys } = await import('../adapters/aws/kmsKeys.ts');
  const [first = '', ...others] = list(need(env, 'HOLDFAST_SIGNING_KEYS'));
  return new KmsKeys({
    rootKey: env.HOLDFAST_ROOT_KEY,
    formerRootKeys: env.HOLDFAST_FORMER_ROOT_KEYS ? list(env.HOLDFAST_FORMER_ROOT_KEYS) : [],
    signingKeys: [first, ...others],
  });
}

async function personsOf(env: NodeJS.ProcessEnv, keys: KmsKeys): Promise<Fixed['persons']> {
  if (!env.HOLDFAST_PERSON_KEYS) return absent('person keys', 'HOLDFAST_PERSON_KEYS');
  const { PersonKeyTable } = await import('../adapters/aws/personKeyTable.ts');
  return new PersonKeyTable({ table: env.HOLDFAST_PERSON_KEYS, keys });
}

async function storesOf(env: NodeJS.ProcessEnv): Promise<Pick<Fixed, 'store' | 'source' | 'replicas'>> {
  const { HOLDFAST_STORE: store, HOLDFAST_SOURCE_STORE: source, HOLDFAST_REPLICA: replica } = env;
  const lacking = {
    store: absent<Fixed['store']>('store', 'HOLDFAST_STORE'),
    source: absent<Fixed['source']>('store to pull from', 'HOLDFAST_SOURCE_STORE'),
    replicas: absent<Fixed['replicas']>('store', 'HOLDFAST_STORE'),
  };
  if (!store) return lacking;
  const [{ S3Store }, { S3Replicas }] = await Promise.all([
    import('../adapters/aws/s3Store.ts'),
    import('../adapters/aws/s3Replicas.ts'),
  ]);
  return {
    store: S3Store.open(store),
    source: source ? S3Store.open(source) : lacking.source,
    replicas: new S3Replicas({ store, replica }),
  };
}

/** Connections outlast a call, as the function does. */
function usersFiles(): Fixed['files'] {
  const opened = new Map<string, FileSource>();
  return {
    async open(location) {
      const { S3Files } = await import('../adapters/aws/s3Files.ts');
      const source = opened.get(location) ?? S3Files.open(location);
      opened.set(location, source);
      return source;
    },
  };
}

async function snapshotsOf(env: NodeJS.ProcessEnv): Promise<Pick<Fixed, 'snapshots' | 'snapshotDays'>> {
  const { HOLDFAST_SNAPSHOT_DAYS: days, HOLDFAST_SECONDARY_REGION: region, HOLDFAST_SECONDARY_KEY: key } = env;
  if (!days) return { snapshots: absent('service of snapshots', 'HOLDFAST_SNAPSHOT_DAYS'), snapshotDays: 0 };
  const { RdsSnapshots } = await import('../adapters/aws/rdsSnapshots.ts');
  return { snapshots: new RdsSnapshots({ region, key }), snapshotDays: Number(days) };
}

const list = (text: string): string[] => text.split(',');

function need(env: NodeJS.ProcessEnv, variable: string): string {
  const value = env[variable];
  if (value) return value;
  throw new ConfigError('HF_FUNCTION_ENVIRONMENT', `${variable} is not set.`, {
    action: 'Set it for this function; the stacks of this project do.',
    details: { variable },
  });
}
