/** A minimal and a maximal example of each construct, for snapshots. Functions are not bundled. */
import { Key } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { WORKFLOWS } from '../../functions/catalogue.ts';
import { Alarms } from '../../lib/constructs/alarms.ts';
import { importNetwork } from '../../lib/constructs/database.ts';
import { ExampleDatabase } from '../../lib/constructs/exampleDatabase.ts';
import { Fleet } from '../../lib/constructs/fleet.ts';
import { Handler } from '../../lib/constructs/handler.ts';
import { IdempotencyTable } from '../../lib/constructs/idempotencyTable.ts';
import { MapLayer } from '../../lib/constructs/mapLayer.ts';
import { Notifications } from '../../lib/constructs/notifications.ts';
import { OperationsDashboard } from '../../lib/constructs/operationsDashboard.ts';
import { Parameters } from '../../lib/constructs/parameters.ts';
import { PersonKeyTable } from '../../lib/constructs/personKeyTable.ts';
import { ReplicaKeys } from '../../lib/constructs/replicaKeys.ts';
import { RootKeys } from '../../lib/constructs/rootKeys.ts';
import { Schedules } from '../../lib/constructs/schedules.ts';
import { TenantBackup } from '../../lib/constructs/tenantBackup.ts';
import { Vault } from '../../lib/constructs/vault.ts';
import { Workflow } from '../../lib/constructs/workflow.ts';
import { Installation } from '../../lib/installation.ts';
import { ACCOUNT, FILES_KEY, PRIMARY, SECONDARY } from './world.ts';

export const MAP = 'sample/holdfast.yaml';
const installation = new Installation({ account: ACCOUNT, primaryRegion: PRIMARY, secondaryRegion: SECONDARY });
export const keyArn = (id: string, region = PRIMARY): string => `arn:aws:kms:${region}:${ACCOUNT}:key/${id}`;

export const SECRET = `arn:aws:secretsmanager:${PRIMARY}:${ACCOUNT}:secret:app-000000`;

type Build = (scope: Construct) => void;

/** By construct: what it makes with the least that it takes, and with everything. */
export const EXAMPLES: Readonly<Record<string, readonly [minimal: Build, maximal: Build]>> = {
  Vault: [
    (scope) => new Vault(scope, 'It', { bucketName: 'the-vault', lock: { mode: 'governance', days: 7 } }),
    (scope) =>
      new Vault(scope, 'It', {
        bucketName: 'the-vault',
        lock: { mode: 'compliance', days: 35 },
        removedVersionDays: 40,
        infrequentAfterDays: 28,
        replica: { bucketName: 'the-other-vault', keyArn: keyArn('1', SECONDARY) },
        readerRoleArns: ['arn:aws:iam::444455556666:role/reader'],
      }),
  ],
  RootKeys: [
    (scope) => new RootKeys(scope, 'It'),
    (scope) => new RootKeys(scope, 'It', { wrappingNumber: 3, signingNumber: 2 }),
  ],
  ReplicaKeys: [
    (scope) => new ReplicaKeys(scope, 'It', { wrappingKeyArn: keyArn('mrk-1'), signingKeyArn: keyArn('mrk-2') }),
    (scope) => new ReplicaKeys(scope, 'It', { wrappingKeyArn: keyArn('mrk-1'), signingKeyArn: keyArn('mrk-2') }),
  ],
  PersonKeyTable: [
    (scope) => new PersonKeyTable(scope, 'It', { tableName: 'persons' }),
    (scope) => new PersonKeyTable(scope, 'It', { tableName: 'persons', replicaRegions: [SECONDARY] }),
  ],
  IdempotencyTable: [(scope) => new IdempotencyTable(scope, 'It'), (scope) => new IdempotencyTable(scope, 'It')],
  MapLayer: [
    (scope) => new MapLayer(scope, 'It', { map: MAP }),
    (scope) => new MapLayer(scope, 'It', { map: MAP, databaseCa: MAP, publicKeys: 'sample/public-keys.pem' }),
  ],
  Notifications: [
    (scope) => new Notifications(scope, 'It', { topicName: 'topic' }),
    (scope) => new Notifications(scope, 'It', { topicName: 'topic', emails: ['a@b.example', 'c@d.example'] }),
  ],
  Parameters: [
    (scope) => new Parameters(scope, 'It', installation, {}),
    (scope) => new Parameters(scope, 'It', installation, { 'one-thing': '1', other: '2' }),
  ],
  Handler: [
    (scope) => new Handler(scope, 'It', { entry: 'functions/record.ts' }),
    (scope) =>
      new Handler(scope, 'It', {
        entry: 'functions/record.ts',
        environment: { A: 'b' },
        network: importNetwork(scope, {
          vpcId: 'vpc-1',
          availabilityZones: [`${PRIMARY}a`],
          subnetIds: ['subnet-1'],
          securityGroupIds: ['sg-1'],
        }),
        layers: [new MapLayer(scope, 'Map', { map: MAP }).layer],
        memory: 1769,
        disk: 1024,
        timeout: 900,
        roleName: 'the-role',
        concurrency: 4,
      }),
  ],
  Workflow: [
    (scope) => void workflow(scope, 'cleanup', ['expire', 'prune', 'keys', 'files', 'record']),
    (scope) => void backup(scope),
  ],
  Schedules: [
    (scope) => new Schedules(scope, 'It', { groupName: 'group', key: new Key(scope, 'Key'), runs: [], workflows: [] }),
    (scope) => {
      const run = {
        name: 'weekly',
        cron: '0 2 * * 0',
        timeZone: 'Europe/Paris',
        input: { type: 'full' },
        flexible: 15,
      };
      const workflow = backup(scope);
      new Schedules(scope, 'It', {
        groupName: 'group',
        key: new Key(scope, 'Key'),
        runs: [{ ...run, workflow }],
        workflows: [workflow],
      });
    },
  ],
  Alarms: [
    (scope) => {
      const { topic } = new Notifications(scope, 'Notifications', { topicName: 'topic' });
      new Alarms(scope, 'It', { topic, workflows: {} });
    },
    (scope) => {
      const { topic, key } = new Notifications(scope, 'Notifications', { topicName: 'topic' });
      const handler = new Handler(scope, 'Handler', { entry: 'functions/record.ts' });
      const { missed } = new Schedules(scope, 'Schedules', { groupName: 'group', key, runs: [], workflows: [] });
      new Alarms(scope, 'It', {
        topic,
        workflows: { backup: backup(scope) },
        atLeastEvery: { backup: 26 },
        handlers: { record: handler },
        queues: { missed },
        service: 'holdfast',
        replication: { bucketName: 'the-vault', replicaName: 'the-other-vault', minutes: 20 },
      });
    },
  ],
  OperationsDashboard: [
    (scope) => new OperationsDashboard(scope, 'It', { dashboardName: 'test', workflows: {}, bucketName: 'the-vault' }),
    (scope) => {
      const workflows = { backup: backup(scope) };
      new OperationsDashboard(scope, 'It', { dashboardName: 'test', workflows, bucketName: 'the-vault' });
    },
  ],
  ExampleDatabase: [
    (scope) => new ExampleDatabase(scope, 'It', { identifier: 'example', key: new Key(scope, 'Key') }),
    (scope) => new ExampleDatabase(scope, 'It', { identifier: 'example', key: new Key(scope, 'Key'), maxCapacity: 16 }),
  ],
  Fleet: [(scope) => void fleet(scope, []), (scope) => void fleet(scope, ['config-backup'])],
};

/** Its parts have templates of their own: of it, which resources there are. */
export const tenantBackup = (mapWithFiles: string): readonly [minimal: Build, maximal: Build] => [
  (scope) =>
    new TenantBackup(scope, 'It', {
      name: 'the-app',
      map: MAP,
      database: { host: 'db.example', name: 'app', secretArn: SECRET },
      vault: new Vault(scope, 'Vault', { bucketName: 'the-vault', lock: { mode: 'governance', days: 7 } }),
      keys: { wrapping: keyArn('mrk-1'), signing: keyArn('mrk-2') },
      personKeyTable: 'persons',
    }),
  (scope) =>
    new TenantBackup(scope, 'It', {
      name: 'the-app',
      map: mapWithFiles,
      database: {
        host: 'db.example',
        port: 5433,
        name: 'app',
        secretArn: SECRET,
        secretKeyArn: keyArn('3'),
        snapshots: { kind: 'cluster', identifier: 'app', keyArn: keyArn('4') },
        network: importNetwork(scope, {
          vpcId: 'vpc-1',
          availabilityZones: [`${PRIMARY}a`],
          subnetIds: ['subnet-1'],
          securityGroupIds: ['sg-1'],
        }),
      },
      databaseCa: MAP,
      vault: new Vault(scope, 'Vault', {
        bucketName: 'the-vault',
        lock: { mode: 'governance', days: 7 },
        replica: { bucketName: 'the-other-vault', keyArn: keyArn('1', SECONDARY) },
      }),
      keys: { wrapping: keyArn('mrk-1'), signing: keyArn('mrk-2') },
      personKeyTable: 'persons',
      notifications: new Notifications(scope, 'Notifications', { topicName: 'topic', emails: ['a@b.example'] }),
      filesKeyArns: [FILES_KEY],
    }),
];

function fleet(scope: Construct, names: readonly string[]): Fleet {
  const map = new MapLayer(scope, 'Map', { map: MAP });
  return new Fleet(scope, 'It', {
    workflows: WORKFLOWS.filter(({ name }) => names.includes(name)),
    name: 'test',
    vault: new Vault(scope, 'Vault', { bucketName: 'the-vault', lock: { mode: 'governance', days: 7 } }),
    map,
    notifications: new Notifications(scope, 'Notifications', { topicName: 'topic' }),
    idempotency: new IdempotencyTable(scope, 'Idempotency'),
    environment: map.environment,
    keys: { wrapping: keyArn('mrk-1'), signing: keyArn('mrk-2') },
    database: {
      host: 'db.example',
      name: 'app',
      secretArn: SECRET,
      secretKeyArn: keyArn('3'),
    },
  });
}

const backup = (scope: Construct): Workflow =>
  workflow(scope, 'backup', ['check', 'plan', 'copy', 'finish', 'verify', 'replicate', 'prove', 'summarise', 'record']);

function workflow(scope: Construct, name: string, handlers: readonly string[]): Workflow {
  const handler = new Handler(scope, 'Any', { entry: 'functions/record.ts' });
  return new Workflow(scope, 'It-workflow', {
    name,
    stateMachineName: `test-${name}`,
    handlers: Object.fromEntries(handlers.map((each) => [each, handler])),
    values: { topic: `arn:aws:sns:${PRIMARY}:${ACCOUNT}:topic` },
  });
}
