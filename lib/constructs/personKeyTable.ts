import { RemovalPolicy } from 'aws-cdk-lib';
import { AttributeType, Billing, TableEncryptionV2, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { accept } from '../accept.ts';

export interface PersonKeyTableProps {
  /** The same in every region; see `Installation.personKeyTable`. */
  readonly tableName: string;
  /** Regions that hold a copy, so that a fail-over finds the keys, and the fences. @default none */
  readonly replicaRegions?: readonly string[];
}

/**
 * Keys of persons. Point-in-time recovery is off, and stays off: a table that can be brought back to yesterday brings back the keys
 * that an erasure destroyed. Its copies are live ones, which obey an erasure within a second.
 */
export class PersonKeyTable extends Construct {
  readonly tableName: string;

  constructor(scope: Construct, id: string, { tableName, replicaRegions = [] }: PersonKeyTableProps) {
    super(scope, id);
    const table = new TableV2(this, 'Table', {
      tableName,
      partitionKey: { name: 'tenant', type: AttributeType.STRING },
      sortKey: { name: 'item', type: AttributeType.STRING },
      billing: Billing.onDemand(),
      // Its items are wrapped by the root key; another customer key would have to be in every region too.
      encryption: TableEncryptionV2.awsManagedKey(),
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: false },
      deletionProtection: true,
      removalPolicy: RemovalPolicy.RETAIN,
      replicas: replicaRegions.map((region) => ({
        region,
        deletionProtection: true,
        pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: false },
      })),
    });
    this.tableName = table.tableName;
    accept(
      table,
      ['AWS::DynamoDB::GlobalTable'],
      [
        {
          id: 'AwsSolutions-DDB3',
          reason: 'Point-in-time recovery would bring back the keys that an erasure destroyed.',
        },
      ],
    );
  }
}

/** To read what is sealed. */
export const grantLookup = (grantee: IGrantable, tableArn: string): void =>
  allow(grantee, tableArn, ['dynamodb:GetItem', 'dynamodb:BatchGetItem']);

/** To seal: read keys, and make new ones where there is neither a key nor a fence. */
export const grantObtain = (grantee: IGrantable, tableArn: string): void =>
  allow(grantee, tableArn, ['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:PutItem']);

function allow(grantee: IGrantable, tableArn: string, actions: string[]): void {
  grantee.grantPrincipal.addToPrincipalPolicy(new PolicyStatement({ actions, resources: [tableArn] }));
}
