/** The context of a function, put together from its environment: once per process, but for the database's password, which rotates. */
import { readFile } from 'node:fs/promises';
import { databaseUrl } from '../adapters/aws/databaseSecret.ts';
import { KmsKeys } from '../adapters/aws/kmsKeys.ts';
import { PersonKeyTable } from '../adapters/aws/personKeyTable.ts';
import { S3Replicas } from '../adapters/aws/s3Replicas.ts';
import { S3Store } from '../adapters/aws/s3Store.ts';
import { noLedger } from '../adapters/local/noLedger.ts';
import { systemClock } from '../adapters/local/systemClock.ts';
import { parseMap } from '../core/datamap/parse.ts';
import { parseSettings } from '../core/datamap/settings.ts';
import { ConfigError } from '../core/errors.ts';
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
  fixed ??= fromEnvironment(process.env);
  fixed.catch(() => {
    fixed = undefined; // tried again, not remembered as failed
  });
  const secret = process.env.HOLDFAST_DATABASE_SECRET;
  if (!secret) return await fixed;
  if (!database || database.until < performance.now()) {
    const url = databaseUrl({ secret, env: process.env });
    url.catch(forgetDatabase);
    database = { url, until: performance.now() + PASSWORD_SECONDS * 1000 };
  }
  return { ...(await fixed), databaseUrl: await database.url };
}

/** The next call asks for the password again. */
export function forgetDatabase(): void {
  database = undefined;
}

async function fromEnvironment(env: NodeJS.ProcessEnv): Promise<Fixed> {
  const path = need(env, 'HOLDFAST_MAP');
  const configuration = await readFile(path, 'utf8');
  const settings = parseSettings(configuration, path);
  const keys = env.HOLDFAST_ROOT_KEY
    ? new KmsKeys({ rootKey: env.HOLDFAST_ROOT_KEY, signingKeys: list(need(env, 'HOLDFAST_SIGNING_KEYS')) })
    : absent<KmsKeys>('key service', 'HOLDFAST_ROOT_KEY');
  return {
    map: parseMap(configuration, path),
    settings,
    configuration,
    store: env.HOLDFAST_STORE ? S3Store.open(env.HOLDFAST_STORE) : absent('store', 'HOLDFAST_STORE'),
    keys,
    persons: env.HOLDFAST_PERSON_KEYS
      ? new PersonKeyTable({ table: env.HOLDFAST_PERSON_KEYS, keys })
      : absent('person keys', 'HOLDFAST_PERSON_KEYS'),
    ledger: noLedger,
    clock: systemClock,
    progress: silentProgress,
    replicas: new S3Replicas({ store: env.HOLDFAST_STORE, replica: env.HOLDFAST_REPLICA }),
    snapshots: absent('service of snapshots', 'HOLDFAST_SECONDARY_REGION'),
    snapshotDays: 0,
    source: env.HOLDFAST_SOURCE_STORE
      ? S3Store.open(env.HOLDFAST_SOURCE_STORE)
      : absent('store to pull from', 'HOLDFAST_SOURCE_STORE'),
    trust: env.HOLDFAST_PUBLIC_KEYS
      ? trustFile(await readFile(env.HOLDFAST_PUBLIC_KEYS, 'utf8'))
      : env.HOLDFAST_ROOT_KEY
        ? keys
        : absent('public keys', 'HOLDFAST_PUBLIC_KEYS'),
  };
}

const list = (text: string): [string, ...string[]] => text.split(',') as [string, ...string[]];

function need(env: NodeJS.ProcessEnv, variable: string): string {
  const value = env[variable];
  if (value) return value;
  throw new ConfigError('HF_FUNCTION_ENVIRONMENT', `${variable} is not set.`, {
    action: 'Set it for this function; the stacks of this project do.',
    details: { variable },
  });
}
