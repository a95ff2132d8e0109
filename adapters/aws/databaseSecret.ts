/** The address of the protected database, with the user and password that Secrets Manager has now. */
import {
  GetSecretValueCommand,
  SecretsManagerClient,
  type SecretsManagerClientConfig,
} from '@aws-sdk/client-secrets-manager';
import { ConfigError, DatabaseError } from '../../core/errors.ts';

export interface DatabaseSecret {
  /** ARN of a secret in the form that RDS writes: `{username, password, host?, port?, dbname?}`. */
  readonly secret: string;
  /** HOLDFAST_DATABASE_HOST, _PORT and _NAME go before what the secret says; _CA is a file of certificates. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly config?: SecretsManagerClientConfig;
}

/** On this machine itself, and nowhere else, the connection may go without TLS. */
const HERE = new Set(['localhost', '127.0.0.1', '::1']);

/**
 * A postgres:// URL whose server must show a certificate for its name. Not for logs: it holds the password.
 * @throws DatabaseError HF_DATABASE_SECRET; ConfigError HF_DATABASE_TLS
 */
export async function databaseUrl({ secret, env, config = {} }: DatabaseSecret): Promise<string> {
  const known = await read(secret, config);
  const host = env.HOLDFAST_DATABASE_HOST ?? known.host;
  const name = env.HOLDFAST_DATABASE_NAME ?? known.dbname;
  if (!known.username || !known.password || !host || !name) {
    throw unreadable(secret, 'it lacks a user name, a password, a host or the name of a database');
  }
  const url = new URL('postgres://host/');
  url.hostname = host;
  url.port = String(env.HOLDFAST_DATABASE_PORT ?? known.port ?? 5432);
  url.username = encodeURIComponent(known.username);
  url.password = encodeURIComponent(known.password);
  url.pathname = `/${encodeURIComponent(name)}`;
  if (env.HOLDFAST_DATABASE_TLS === 'off') {
    if (HERE.has(host)) return url.href;
    throw new ConfigError('HF_DATABASE_TLS', `The connection to ${host} would go over the network unencrypted.`, {
      action: 'Remove HOLDFAST_DATABASE_TLS: "off" is for a database on the same machine only.',
      details: { host },
    });
  }
  url.searchParams.set('sslmode', 'verify-full');
  if (env.HOLDFAST_DATABASE_CA) url.searchParams.set('sslrootcert', env.HOLDFAST_DATABASE_CA);
  return url.href;
}

type Fields = Partial<Record<'username' | 'password' | 'host' | 'dbname', string>> & {
  readonly port?: number | string;
};

async function read(secret: string, config: SecretsManagerClientConfig): Promise<Fields> {
  const client = new SecretsManagerClient({ maxAttempts: 5, ...config });
  try {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: secret }));
    return JSON.parse(SecretString ?? '') as Fields;
  } catch (cause) {
    // The text of a secret that is no JSON must not get into a message.
    throw unreadable(secret, cause instanceof SyntaxError ? 'it is not JSON' : (cause as Error).message);
  } finally {
    client.destroy();
  }
}

const unreadable = (secret: string, why: string) =>
  new DatabaseError('HF_DATABASE_SECRET', `The secret of the database cannot be used: ${why}.`, {
    action: 'Check that this role may read it, and that it has the form that RDS writes.',
    details: { secret },
  });
