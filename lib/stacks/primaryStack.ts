import { type Environment, Stack } from 'aws-cdk-lib';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import type { Construct } from 'constructs';
import type { Settings } from '../../core/datamap/settings.ts';
import { WORKFLOWS } from '../../functions/catalogue.ts';
import { Alarms } from '../constructs/alarms.ts';
import {
  checkDatabase,
  databaseEnvironment,
  importNetwork,
  type NetworkIds,
  type ProtectedDatabase,
} from '../constructs/database.ts';
import { fileBuckets } from '../constructs/fileBuckets.ts';
import { Fleet } from '../constructs/fleet.ts';
import { IdempotencyTable } from '../constructs/idempotencyTable.ts';
import { checkFormerKeys, keyEnvironment, type RootKeyArns } from '../constructs/keyRights.ts';
import { longestGaps } from '../constructs/longestGaps.ts';
import { MapLayer } from '../constructs/mapLayer.ts';
import { Notifications } from '../constructs/notifications.ts';
import { OperationsDashboard } from '../constructs/operationsDashboard.ts';
import { Parameters } from '../constructs/parameters.ts';
import { scheduledRuns } from '../constructs/scheduledRuns.ts';
import { Schedules } from '../constructs/schedules.ts';
import { grantSnapshotKeys, snapshotResources } from '../constructs/snapshotRights.ts';
import { Vault, type VaultLock } from '../constructs/vault.ts';
import type { VaultReplica } from '../constructs/vaultReplication.ts';
import type { Installation } from '../installation.ts';
import { SynthError } from '../synthError.ts';
import { vaultTerms } from '../vaultTerms.ts';

export interface PrimaryStackProps {
  readonly env?: Environment;
  readonly installation: Installation;
  readonly database: Omit<ProtectedDatabase, 'network'>;
  /** Where the functions that speak to it run. @default in no network */
  readonly network?: NetworkIds;
  /** Path of holdfast.yaml. */
  readonly map: string;
  /** See `MapLayer`. */
  readonly databaseCa?: string;
  readonly lock: { readonly mode: VaultLock['mode']; readonly days?: number };
  /** What that file says. */
  readonly settings: Pick<Settings, 'schedules' | 'retention' | 'kms' | 'files'>;
  /** ARNs of the customer keys under which buckets of users' files are encrypted. @default none */
  readonly filesKeyArns?: readonly string[];
  readonly emails?: readonly string[];
  /** ARN of the key of the other region's bucket, as the secondary stack printed it. Needed when the installation has a second region. */
  readonly secondaryVaultKeyArn?: string;
  /** The account that pulls. @default none */
  readonly airGappedAccount?: string;
}

/** What protects the database where it runs: the bucket of backups, the workflows and their functions, schedules and alarms. */
export class PrimaryStack extends Stack {
  constructor(scope: Construct, id: string, props: PrimaryStackProps) {
    const { installation } = props;
    checkDatabase(props.database);
    super(scope, id, { ...(props.env ? { env: props.env } : {}), terminationProtection: true });
    const database: ProtectedDatabase = {
      ...props.database,
      ...(props.network ? { network: importNetwork(this, props.network) } : {}),
    };
    const keys: RootKeyArns = {
      wrapping: this.#published(installation, 'wrapping-key-arn'),
      signing: this.#published(installation, 'signing-key-arn'),
      formerWrapping: props.settings.kms?.former ?? [],
      formerSigning: props.settings.kms?.signing ?? [], // whichever of them is the present one
    };
    checkFormerKeys(keys, installation.primaryRegion);
    const notifications = new Notifications(this, 'Notifications', {
      topicName: installation.name,
      ...(props.emails ? { emails: props.emails } : {}),
    });
    const replica = replicaOf(installation, props.secondaryVaultKeyArn);
    const vault = new Vault(this, 'Vault', {
      bucketName: installation.vaultName(this.region),
      ...vaultTerms(props.settings.retention, props.lock.mode, props.lock.days),
      ...(replica ? { replica } : {}),
      ...(props.airGappedAccount ? { readerRoleArns: pullRoleArns(installation, props.airGappedAccount) } : {}),
    });
    const map = new MapLayer(this, 'Map', {
      map: props.map,
      ...(props.databaseCa ? { databaseCa: props.databaseCa } : {}),
    });
    const idempotency = new IdempotencyTable(this, 'Idempotency');
    const files = fileBuckets(props.settings, props.filesKeyArns);
    const needed = (workflow: string) =>
      (workflow !== 'snapshot' || database.snapshots !== undefined) && (workflow !== 'files' || files !== undefined);
    const fleet = new Fleet(this, 'Fleet', {
      workflows: WORKFLOWS.filter(({ place }) => !place).filter(({ name }) => needed(name)),
      nameOf: (workflow) => installation.workflowName(workflow),
      vault,
      map,
      notifications,
      idempotency,
      database,
      ...(files ? { files } : {}),
      keys,
      personTableArn: this.formatArn({
        service: 'dynamodb',
        resource: 'table',
        resourceName: installation.personKeyTable,
      }),
      environment: {
        ...map.environment,
        ...databaseEnvironment(database),
        POWERTOOLS_SERVICE_NAME: installation.name,
        HOLDFAST_STORE: `s3://${vault.bucket.bucketName}/`,
        ...keyEnvironment(keys),
        HOLDFAST_PERSON_KEYS: installation.personKeyTable,
        HOLDFAST_IDEMPOTENCY: idempotency.table.tableName,
        HOLDFAST_SNAPSHOT_DAYS: String(props.settings.retention.daily),
        ...(replica
          ? {
              HOLDFAST_REPLICA: `s3://${replica.bucketName}/?region=${installation.secondaryRegion}`,
              HOLDFAST_SECONDARY_REGION: installation.secondaryRegion!,
              HOLDFAST_SECONDARY_KEY: replica.keyArn,
            }
          : {}),
      },
      ...(database.snapshots
        ? {
            values: { database: database.snapshots.identifier, databaseKind: database.snapshots.kind },
            resources: snapshotResources(this, installation, database.snapshots),
          }
        : {}),
    });
    const copier = fleet.handlers.get('functions/snapshot/copy.ts');
    if (copier && replica) {
      grantSnapshotKeys(copier, [replica.keyArn, ...(database.snapshots?.keyArn ? [database.snapshots.keyArn] : [])]);
    }
    const runs = scheduledRuns(props.settings, fleet.workflows);
    // Not one of holdfast.yaml, whose names have no dot: it watches those.
    const watch = { name: 'stack.watch', cron: '*/15 * * * *', workflow: fleet.workflows.watch! };
    const schedules = new Schedules(this, 'Schedules', {
      groupName: installation.scheduleGroup,
      key: notifications.key,
      runs: [...runs, watch],
      workflows: Object.values(fleet.workflows),
    });
    new Alarms(this, 'Alarms', {
      topic: notifications.topic,
      workflows: fleet.workflows,
      service: installation.name,
      atLeastEvery: longestGaps([...runs, watch]),
      handlers: Object.fromEntries([...fleet.handlers.values()].map((handler) => [handler.node.id, handler] as const)),
      queues: { schedules: schedules.missed },
      ...(replica ? { replication: { bucketName: vault.bucket.bucketName, replicaName: replica.bucketName } } : {}),
    });
    new OperationsDashboard(this, 'Dashboard', {
      dashboardName: installation.name,
      workflows: fleet.workflows,
      bucketName: vault.bucket.bucketName,
    });
    new Parameters(this, 'Parameters', installation, {
      'vault-name': vault.bucket.bucketName,
      'vault-key-arn': vault.key.keyArn,
      'topic-arn': notifications.topic.topicArn,
      'schedule-group': installation.scheduleGroup,
      'schedule-role-arn': schedules.role.roleArn,
      'schedule-missed-arn': schedules.missed.queueArn,
    });
  }

  /** What the key stack published in this region: read when this one is deployed. */
  #published(installation: Installation, what: string): string {
    return StringParameter.valueForStringParameter(this, installation.parameter(what));
  }
}

function replicaOf(installation: Installation, keyArn: string | undefined): VaultReplica | undefined {
  const region = installation.secondaryRegion;
  if (region === undefined) return undefined;
  if (!keyArn?.startsWith(`arn:aws`) || keyArn.split(':')[3] !== region) {
    throw new SynthError(
      'secondaryVaultKeyArn',
      `the ARN of a key in ${region}, as the secondary stack printed it`,
      keyArn,
    );
  }
  return { bucketName: installation.vaultName(region), keyArn };
}

/** The roles of the air-gapped account's functions, by name: that account makes them, later perhaps. */
const pullRoleArns = (installation: Installation, account: string): string[] =>
  WORKFLOWS.filter(({ place }) => place === 'air-gapped').flatMap(({ handlers }) =>
    Object.keys(handlers).map((handler) => `arn:aws:iam::${account}:role/${installation.pullRole(handler)}`),
  );
