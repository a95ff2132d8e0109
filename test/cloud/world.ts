/** The emulator with every stack deployed, and a real PostgreSQL with the sample's data. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KMSClient, ReplicateKeyCommand } from '@aws-sdk/client-kms';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import pg from 'pg';
import { EmbeddedServer } from '../../adapters/local/embedded.ts';
import { bind } from '../../core/datamap/bind.ts';
import { install } from '../../core/history/install.ts';
import { connect } from '../../core/sql.ts';
import { createSample } from '../../sample/create.ts';
import { sampleMap } from '../../sample/map.ts';
import { setBucketProperties } from './bucketProperties.ts';
import { deployer, type Outputs, without, withVariables } from './deploy.ts';
import { ACCOUNT, type Emulator, startEmulator, virtualEnvironment } from './emulator.ts';
import { mapWithFiles } from './map.ts';
import { newCertificate } from './tls.ts';

export const PRIMARY = 'eu-central-1';
export const SECONDARY = 'eu-west-1';
/** Of the account that pulls. */
export const AIR_GAPPED_ACCOUNT = '444455556666';
const PASSWORD = 'only for this emulator';

export interface CloudWorld {
  readonly directory: string;
  /** Programs of the virtual environment. */
  readonly bin: string;
  readonly emulator: Emulator;
  readonly server: EmbeddedServer;
  /** As the role that owns the tables: not a superuser, as on RDS. */
  readonly databaseUrl: string;
  /** What the app was told at first. */
  readonly settings: Readonly<Record<string, string>>;
  readonly keys: Outputs;
  readonly secondary: Outputs;
  readonly primary: Outputs;
  close(): Promise<void>;
}

type Say = <T>(what: string, work: () => Promise<T>) => Promise<T>;

/** @param say runs each part, so that a person sees how far it is */
export async function makeCloudWorld(say: Say): Promise<CloudWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-cloud-'));
  const undo: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })];
  const close = async () => {
    for (const step of undo.reverse()) await step();
  };
  try {
    const bin = await say('virtual environment', virtualEnvironment);
    const emulator = await say('emulator', () => startEmulator(bin, directory));
    undo.push(() => emulator.stop());
    Object.assign(process.env, emulator.environment);
    const server = await say('PostgreSQL', () => EmbeddedServer.start({ directory: join(directory, 'postgres') }));
    undo.push(() => server.stop());
    const databaseUrl = await say('sample data and triggers', () => fill(server));
    const ca = await newCertificate(bin, server, join(directory, 'certificates'));
    const stacks = await deployAll(say, directory, emulator, server, ca);
    return { directory, bin, emulator, server, databaseUrl, ...stacks, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function fill(server: EmbeddedServer): Promise<string> {
  const admin = await connect(server.url());
  await admin.query(`create role app_owner login createdb password ${pg.escapeLiteral(PASSWORD)}`);
  await admin.query('create database app owner app_owner');
  await admin.end();
  const url = server.url('app', 'app_owner', PASSWORD);
  const client = await connect(url);
  try {
    await createSample(client, { tenants: 4, usersPerTenant: 6, entriesPerUser: 15 });
    await install(client, await bind(client, sampleMap()));
  } finally {
    await client.end();
  }
  return url;
}

async function deployAll(
  say: Say,
  directory: string,
  { environment }: Emulator,
  server: EmbeddedServer,
  databaseCa: string,
) {
  const cdk = deployer(directory, environment);
  await say('cdk bootstrap, two regions', () => cdk.bootstrap(`${ACCOUNT}/${PRIMARY}`, `${ACCOUNT}/${SECONDARY}`));
  const { ARN: databaseSecretArn } = await new SecretsManagerClient({}).send(
    new CreateSecretCommand({
      Name: 'app',
      SecretString: JSON.stringify({ username: 'app_owner', password: PASSWORD }),
    }),
  );
  const settings = {
    account: ACCOUNT,
    map: await mapWithFiles(directory),
    exampleDatabase: 'no',
    airGappedAccount: '',
    wrappingKeyArn: '',
    signingKeyArn: '',
    secondaryVaultKeyArn: '',
    vaultKeyArn: '',
    databaseHost: '127.0.0.1',
    databasePort: String(server.port),
    databaseSecretArn: databaseSecretArn!,
    databaseCa,
    databaseCluster: '',
    vpcId: '',
  };
  const { outputs: keys } = await say('cdk deploy holdfast-keys', () => cdk.deploy('holdfast-keys', settings));
  const arns = { wrappingKeyArn: keys.wrappingKeyArn!, signingKeyArn: keys.signingKeyArn! };
  const kms = new KMSClient({});
  for (const KeyId of Object.values(arns)) await kms.send(new ReplicateKeyCommand({ KeyId, ReplicaRegion: SECONDARY }));
  const secondary = await say('cdk deploy holdfast-secondary', () =>
    cdk.deploy('holdfast-secondary', { ...settings, ...arns }, without('AWS::KMS::ReplicaKey')),
  );
  const primary = await say('cdk deploy holdfast-primary', () =>
    cdk.deploy(
      'holdfast-primary',
      {
        ...settings,
        ...arns,
        secondaryVaultKeyArn: secondary.outputs.vaultKeyArn!,
        airGappedAccount: AIR_GAPPED_ACCOUNT,
      },
      withVariables({
        HOLDFAST_MAP: settings.map,
        HOLDFAST_DATABASE_CA: databaseCa,
      }),
    ),
  );
  await setBucketProperties(secondary, SECONDARY);
  await setBucketProperties(primary, PRIMARY, { replica: secondary.outputs.vaultName });
  return { settings, keys, secondary: secondary.outputs, primary: primary.outputs };
}

/** The end of the emulator's log, for whoever has to find out why. */
export async function lastWords({ directory }: CloudWorld): Promise<string> {
  const text = await readFile(join(directory, 'emulator.log'), 'utf8');
  return text.split('\n').slice(-30).join('\n').slice(-8000);
}
