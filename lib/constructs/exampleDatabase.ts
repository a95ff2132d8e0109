import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { FlowLogDestination, IpAddresses, type IVpc, Port, SecurityGroup, SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  AuroraPostgresEngineVersion,
  ClusterInstance,
  Credentials,
  DatabaseCluster,
  DatabaseClusterEngine,
  ParameterGroup,
} from 'aws-cdk-lib/aws-rds';
import { Construct } from 'constructs';
import { accept } from '../accept.ts';
import { SynthError } from '../synthError.ts';
import type { ProtectedDatabase } from './database.ts';

export interface ExampleDatabaseProps {
  /** Of the cluster, so that snapshots can name it. */
  readonly identifier: string;
  /** Encrypts storage and the credentials. */
  readonly key: IKey;
  /** Aurora capacity units, 2 GiB of memory each. @default 4 */
  readonly maxCapacity?: number;
}

/** A database to try things on: Aurora PostgreSQL Serverless v2 in a network of its own, with the settings that Holdfast needs. */
export class ExampleDatabase extends Construct {
  readonly cluster: DatabaseCluster;
  /** What a stack that protects it needs to know. */
  readonly connection: ProtectedDatabase;

  /** @throws SynthError for a capacity that Aurora does not have */
  constructor(scope: Construct, id: string, { identifier, key, maxCapacity = 4 }: ExampleDatabaseProps) {
    super(scope, id);
    if (!(maxCapacity >= 0.5 && maxCapacity <= 256))
      throw new SynthError('maxCapacity', '0.5 to 256 units', maxCapacity);
    const vpc: IVpc = new Vpc(this, 'Network', {
      ipAddresses: IpAddresses.cidr('10.40.0.0/20'),
      maxAzs: 2,
      natGateways: 1,
      flowLogs: { rejected: { destination: FlowLogDestination.toCloudWatchLogs() } },
      subnetConfiguration: [
        { name: 'public', subnetType: SubnetType.PUBLIC, cidrMask: 24 },
        { name: 'functions', subnetType: SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 24 },
        { name: 'database', subnetType: SubnetType.PRIVATE_ISOLATED, cidrMask: 24 },
      ],
    }) as IVpc;
    const functions = new SecurityGroup(this, 'Functions', { vpc, description: 'Functions of Holdfast' });
    const engine = DatabaseClusterEngine.auroraPostgres({ version: AuroraPostgresEngineVersion.VER_17_5 });
    this.cluster = new DatabaseCluster(this, 'Cluster', {
      clusterIdentifier: identifier,
      engine,
      credentials: Credentials.fromGeneratedSecret('holdfast', { encryptionKey: key }),
      defaultDatabaseName: 'app',
      writer: ClusterInstance.serverlessV2('Writer'),
      serverlessV2MinCapacity: 0.5,
      serverlessV2MaxCapacity: maxCapacity,
      vpc,
      vpcSubnets: { subnetType: SubnetType.PRIVATE_ISOLATED },
      parameterGroup: new ParameterGroup(this, 'Parameters', {
        engine,
        description: 'Commit timestamps for exact moments; TLS for everybody',
        parameters: { track_commit_timestamp: '1', 'rds.force_ssl': '1' },
      }),
      storageEncrypted: true,
      storageEncryptionKey: key,
      iamAuthentication: true,
      deletionProtection: true,
      copyTagsToSnapshot: true,
      backup: { retention: Duration.days(7) },
      cloudwatchLogsExports: ['postgresql'],
      removalPolicy: RemovalPolicy.SNAPSHOT,
    });
    this.cluster.connections.allowFrom(functions, Port.tcp(5432), 'Functions of Holdfast');
    this.cluster.addRotationSingleUser({ automaticallyAfter: Duration.days(30) });
    this.connection = {
      host: this.cluster.clusterEndpoint.hostname,
      name: 'app',
      secretArn: this.cluster.secret!.secretArn,
      secretKeyArn: key.keyArn,
      network: { vpc, securityGroups: [functions] },
      snapshots: { kind: 'cluster', identifier },
    };
    accept(
      this,
      ['AWS::EC2::SecurityGroup'],
      [{ id: 'AwsSolutions-EC23', reason: 'Only functions reach the port; the rule names their group, not a range.' }],
    );
  }
}
