import { type Environment, Stack } from 'aws-cdk-lib';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import type { Construct } from 'constructs';
import { WORKFLOWS } from '../../functions/catalogue.ts';
import { checkDatabase, importNetwork, type NetworkIds, type ProtectedDatabase } from '../constructs/database.ts';
import { Notifications } from '../constructs/notifications.ts';
import { Parameters } from '../constructs/parameters.ts';
import { TenantBackup, type TenantBackupProps } from '../constructs/tenantBackup.ts';
import { Vault } from '../constructs/vault.ts';
import type { VaultReplica } from '../constructs/vaultReplication.ts';
import type { Installation } from '../installation.ts';
import { SynthError } from '../synthError.ts';
import type { VaultTerms } from '../vaultTerms.ts';

export interface PrimaryStackProps extends Pick<TenantBackupProps, 'map' | 'databaseCa' | 'filesKeyArns'> {
  /** Account and region. @default those of whoever deploys */
  readonly env?: Environment;
  /** Whose names it uses. */
  readonly installation: Installation;
  /** What is backed up. */
  readonly database: Omit<ProtectedDatabase, 'network'>;
  /** Where the functions that speak to it run. @default in no network */
  readonly network?: NetworkIds;
  /** Of the bucket of backups. */
  readonly terms: VaultTerms;
  /** Who hears of results and alarms; each confirms by a link. @default none */
  readonly emails?: readonly string[];
  /** ARN of the key of the other region's bucket, as the secondary stack printed it. @default none, of an installation with one region; it is needed with two */
  readonly secondaryVaultKeyArn?: string;
  /** The account that pulls. @default none */
  readonly airGappedAccount?: string;
}

/** An installation where its database runs: a `TenantBackup` with its bucket, and what other stacks and people know by name. */
export class PrimaryStack extends Stack {
  constructor(scope: Construct, id: string, props: PrimaryStackProps) {
    const { installation, map, databaseCa, filesKeyArns, airGappedAccount, emails, network } = props;
    checkDatabase(props.database); // before there is half a stack
    super(scope, id, { ...(props.env ? { env: props.env } : {}), terminationProtection: true });
    const database = { ...props.database, ...(network ? { network: importNetwork(this, network) } : {}) };
    const keys = {
      wrapping: this.#published(installation, 'wrapping-key-arn'),
      signing: this.#published(installation, 'signing-key-arn'),
    };
    const notifications = new Notifications(this, 'Notifications', {
      topicName: installation.name,
      ...(emails ? { emails } : {}),
    });
    const replica = replicaOf(installation, props.secondaryVaultKeyArn);
    const vault = new Vault(this, 'Vault', {
      bucketName: installation.vaultName(this.region),
      ...props.terms,
      ...(replica ? { replica } : {}),
      ...(airGappedAccount ? { readerRoleArns: pullRoleArns(installation, airGappedAccount) } : {}),
    });
    // An id that stands in no name of a resource: this is all that the stack is.
    const { schedules } = new TenantBackup(this, 'Default', {
      name: installation.name,
      personKeyTable: installation.personKeyTable,
      map,
      database,
      vault,
      keys,
      notifications,
      ...(databaseCa ? { databaseCa } : {}),
      ...(filesKeyArns ? { filesKeyArns } : {}),
    });
    new Parameters(this, 'Parameters', installation, {
      'vault-name': vault.bucket.bucketName,
      'vault-key-arn': vault.key.keyArn,
      'topic-arn': notifications.topic.topicArn,
      'schedule-group': installation.name,
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

/** The roles of the air-gapped account's functions that read here, by name: that account makes them, later perhaps. */
const pullRoleArns = (installation: Installation, account: string): string[] =>
  WORKFLOWS.filter(({ place }) => place === 'air-gapped').flatMap(({ handlers }) =>
    Object.entries(handlers)
      .filter(([, { pulls }]) => pulls)
      .map(([handler]) => `arn:aws:iam::${account}:role/${installation.pullRole(handler)}`),
  );
