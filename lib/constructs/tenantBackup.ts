import { Stack } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import type { Settings } from '../../core/datamap/settings.ts';
import { WORKFLOWS } from '../../functions/catalogue.ts';
import { checkName } from '../installation.ts';
import { readMapFile } from '../mapFile.ts';
import { Alarms } from './alarms.ts';
import { checkDatabase, databaseEnvironment, type ProtectedDatabase } from './database.ts';
import { type FileBuckets, fileBuckets } from './fileBuckets.ts';
import { Fleet } from './fleet.ts';
import type { Handler } from './handler.ts';
import { IdempotencyTable } from './idempotencyTable.ts';
import { checkFormerKeys, keyEnvironment, type RootKeyArns } from './keyRights.ts';
import { longestGaps } from './longestGaps.ts';
import { MapLayer } from './mapLayer.ts';
import { Notifications } from './notifications.ts';
import { OperationsDashboard } from './operationsDashboard.ts';
import { scheduledRuns } from './scheduledRuns.ts';
import { Schedules } from './schedules.ts';
import { grantSnapshotKeys, snapshotResources } from './snapshotRights.ts';
import type { Vault } from './vault.ts';
import type { Workflow } from './workflow.ts';

export interface TenantBackupProps {
  /**
   * Begins every name: state machines are `<name>-backup` and so on; schedule group, topic, dashboard and metrics are `<name>`. 3 to 20
   * lower-case letters, digits and hyphens, once in an account and region.
   */
  readonly name: string;
  /**
   * Path of holdfast.yaml, which says what is protected, when (`schedules:`), for how long (`retention:`), which keys were replaced
   * (`keys:`) and where users' files are (`files:`). It is deployed with the functions.
   */
  readonly map: string;
  /** What is backed up: the user's own, never made or changed here. */
  readonly database: ProtectedDatabase;
  /** PEM file of the authorities that the database's certificate is checked against. @default those that Lambda knows: Amazon's */
  readonly databaseCa?: string;
  /** Where backups go. When it has a replica, each backup waits for its copy, and snapshots are copied to that region. */
  readonly vault: Vault;
  /** ARNs of the keys of a `RootKeys`, in the region of this stack. */
  readonly keys: Pick<RootKeyArns, 'wrapping' | 'signing'>;
  /** Name of a `PersonKeyTable` in this account and region. */
  readonly personKeyTable: string;
  /** Who hears of results and alarms. @default a topic `<name>` to which nobody is subscribed yet */
  readonly notifications?: Notifications;
  /** ARNs of the customer keys under which the buckets of users' files are encrypted. @default none */
  readonly filesKeyArns?: readonly string[];
}

/**
 * The protection of one multi-tenant database: the workflows with their functions, their schedules, an alarm for each way in which
 * protection can stop, and a dashboard. What it needs and outlives it (bucket, keys, person keys) is given to it.
 */
export class TenantBackup extends Construct {
  /** By name, e.g. `backup`. `snapshot` and `files` are there when database and holdfast.yaml name any. */
  readonly workflows: Readonly<Record<string, Workflow>>;
  /** By entry, e.g. `functions/backup/plan.ts`. */
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly schedules: Schedules;
  readonly notifications: Notifications;

  /**
   * @throws SynthError for a prop that cannot be; ConfigError HF_MAP_INVALID, HF_SCHEDULE_INVALID, HF_CRON_INVALID for what is wrong in
   *   holdfast.yaml
   */
  constructor(scope: Construct, id: string, props: TenantBackupProps) {
    super(scope, id);
    const { name, database, vault } = props;
    checkName(name);
    checkDatabase(database);
    const settings = readMapFile(props.map);
    this.notifications = props.notifications ?? new Notifications(this, 'Notifications', { topicName: name });
    const fleet = this.#fleet(props, settings, fileBuckets(settings, props.filesKeyArns));
    this.workflows = fleet.workflows;
    this.handlers = fleet.handlers;
    const runs = [
      ...scheduledRuns(settings, fleet.workflows),
      // Not one of holdfast.yaml, whose names have no dot: it watches those.
      { name: 'stack.watch', cron: '*/15 * * * *', workflow: fleet.workflows.watch! },
    ];
    this.schedules = new Schedules(this, 'Schedules', {
      groupName: name,
      key: this.notifications.key,
      runs,
      workflows: Object.values(fleet.workflows),
    });
    const { bucketName } = vault.bucket;
    new Alarms(this, 'Alarms', {
      topic: this.notifications.topic,
      workflows: fleet.workflows,
      service: name,
      atLeastEvery: longestGaps(runs),
      handlers: Object.fromEntries([...fleet.handlers.values()].map((handler) => [handler.node.id, handler] as const)),
      queues: { schedules: this.schedules.missed },
      ...(vault.replica ? { replication: { bucketName, replicaName: vault.replica.bucketName } } : {}),
    });
    new OperationsDashboard(this, 'Dashboard', { dashboardName: name, workflows: fleet.workflows, bucketName });
  }

  #fleet(props: TenantBackupProps, settings: Settings, files: FileBuckets | undefined): Fleet {
    const { name, database, vault, personKeyTable } = props;
    const stack = Stack.of(this);
    const keys: RootKeyArns = {
      ...props.keys,
      formerWrapping: settings.kms?.former ?? [],
      formerSigning: settings.kms?.signing ?? [], // whichever of them is the present one
    };
    checkFormerKeys(keys, stack.region);
    const map = new MapLayer(this, 'Map', {
      map: props.map,
      ...(props.databaseCa ? { databaseCa: props.databaseCa } : {}),
    });
    const idempotency = new IdempotencyTable(this, 'Idempotency');
    const { replica } = vault;
    const [, , , otherRegion = ''] = replica?.keyArn.split(':') ?? [];
    const needed: Readonly<Record<string, boolean>> = {
      snapshot: database.snapshots !== undefined,
      files: files !== undefined,
    };
    const fleet = new Fleet(this, 'Fleet', {
      name,
      workflows: WORKFLOWS.filter((workflow) => !workflow.place && (needed[workflow.name] ?? true)),
      vault,
      map,
      notifications: this.notifications,
      idempotency,
      database,
      ...(files ? { files } : {}),
      keys,
      personTableArn: stack.formatArn({ service: 'dynamodb', resource: 'table', resourceName: personKeyTable }),
      environment: {
        ...map.environment,
        ...databaseEnvironment(database),
        ...keyEnvironment(keys),
        POWERTOOLS_SERVICE_NAME: name,
        HOLDFAST_STORE: `s3://${vault.bucket.bucketName}/`,
        HOLDFAST_PERSON_KEYS: personKeyTable,
        HOLDFAST_IDEMPOTENCY: idempotency.table.tableName,
        HOLDFAST_SNAPSHOT_DAYS: String(settings.retention.daily),
        ...(replica
          ? {
              HOLDFAST_REPLICA: `s3://${replica.bucketName}/?region=${otherRegion}`,
              HOLDFAST_SECONDARY_REGION: otherRegion,
              HOLDFAST_SECONDARY_KEY: replica.keyArn,
            }
          : {}),
      },
      ...(database.snapshots
        ? {
            values: { database: database.snapshots.identifier, databaseKind: database.snapshots.kind },
            resources: snapshotResources(this, database.snapshots, replica ? otherRegion : undefined),
          }
        : {}),
    });
    const copier = fleet.handlers.get('functions/snapshot/copy.ts');
    if (copier && replica) {
      grantSnapshotKeys(copier, [replica.keyArn, ...(database.snapshots?.keyArn ? [database.snapshots.keyArn] : [])]);
    }
    return fleet;
  }
}
