import { Annotations } from 'aws-cdk-lib';
import { SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { SynthError } from '../synthError.ts';
import type { Handler, HandlerNetwork } from './handler.ts';

/** The user's own database: known by its address and its credentials, never made or changed by these stacks. */
export interface ProtectedDatabase {
  /** Of the writer: reads go there too, since a reader's snapshot may lag behind the trail. */
  readonly host: string;
  /** @default 5432 */
  readonly port?: number;
  /** Of the database on that server. */
  readonly name: string;
  /** Secret with `username` and `password`; read anew when it was rotated. */
  readonly secretArn: string;
  /** ARN of the customer key that encrypts the secret. @default the account's own for secrets */
  readonly secretKeyArn?: string;
  /** @default functions run in no network, and the database is reached over the internet */
  readonly network?: HandlerNetwork;
  /** What RDS is asked to take snapshots of. @default nothing: there is no workflow of snapshots */
  readonly snapshots?: {
    readonly kind: 'instance' | 'cluster';
    readonly identifier: string;
    /** ARN of the customer key of its storage. @default none, or the account's own */
    readonly keyArn?: string;
  };
}

/** A network that is there already. */
export interface NetworkIds {
  /** `vpc-…` */
  readonly vpcId: string;
  /** Of the subnets, in their order. */
  readonly availabilityZones: readonly string[];
  /** Private, with a way to the services of AWS: a NAT gateway or endpoints. */
  readonly subnetIds: readonly string[];
  /** Groups that the database lets in. */
  readonly securityGroupIds: readonly string[];
}

/** @throws SynthError when there is not one zone for each subnet, or no group */
export function importNetwork(scope: Construct, ids: NetworkIds): HandlerNetwork {
  const { vpcId, availabilityZones, subnetIds, securityGroupIds } = ids;
  if (subnetIds.length === 0 || subnetIds.length !== availabilityZones.length) {
    throw new SynthError('subnetIds', 'as many subnets as availabilityZones, one at least', [
      subnetIds,
      availabilityZones,
    ]);
  }
  if (securityGroupIds.length === 0) throw new SynthError('securityGroupIds', 'a group that the database lets in', []);
  const vpc = Vpc.fromVpcAttributes(scope, 'Network', {
    vpcId,
    availabilityZones: [...availabilityZones],
    privateSubnetIds: [...subnetIds],
  });
  Annotations.of(vpc).acknowledgeWarning(
    '@aws-cdk/aws-ec2:noSubnetRouteTableId',
    'Functions are put in; routes stay as they are.',
  );
  return {
    vpc,
    securityGroups: securityGroupIds.map((id) => SecurityGroup.fromSecurityGroupId(scope, id, id, { mutable: false })),
  };
}

const SECRET = /^arn:aws[\w-]*:secretsmanager:[\w-]+:\d{12}:secret:[\w/+=.@-]+$/;

/** @throws SynthError for what cannot be the address or the secret of a database; tokens are taken as they are */
export function checkDatabase({ host, port = 5432, secretArn }: ProtectedDatabase): void {
  if (!isToken(host) && !/^[\w.-]+$/.test(host)) throw new SynthError('database.host', 'a host name', host);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new SynthError('database.port', '1 to 65535', port);
  if (!isToken(secretArn) && !SECRET.test(secretArn)) {
    throw new SynthError('database.secretArn', 'the ARN of a secret (arn:aws:secretsmanager:…:secret:…)', secretArn);
  }
}

/** How a function finds the database. */
export function databaseEnvironment(database: ProtectedDatabase): Record<string, string> {
  return {
    HOLDFAST_DATABASE_HOST: database.host,
    HOLDFAST_DATABASE_PORT: String(database.port ?? 5432),
    HOLDFAST_DATABASE_NAME: database.name,
    HOLDFAST_DATABASE_SECRET: database.secretArn,
  };
}

/** To read the credentials. What they allow is the database's own matter. */
export function grantCredentials({ function: grantee }: Handler, { secretArn, secretKeyArn }: ProtectedDatabase): void {
  const allow = (action: string, resource: string) =>
    grantee.addToRolePolicy(new PolicyStatement({ actions: [action], resources: [resource] }));
  allow('secretsmanager:GetSecretValue', secretArn);
  if (secretKeyArn) allow('kms:Decrypt', secretKeyArn);
}

const isToken = (text: string): boolean => text.startsWith('${Token[');
