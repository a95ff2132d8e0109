import { Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import { Key } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { ExampleDatabase } from '../constructs/exampleDatabase.ts';
import { Parameters } from '../constructs/parameters.ts';
import type { Installation } from '../installation.ts';

export interface ExampleDatabaseStackProps extends StackProps {
  /** Whose names it uses. */
  readonly installation: Installation;
}

/** A database to try Holdfast on. It prints what the primary stack must be told, as one would look it up for a database of one's own. */
export class ExampleDatabaseStack extends Stack {
  constructor(scope: Construct, id: string, { installation, ...props }: ExampleDatabaseStackProps) {
    super(scope, id, props);
    const key = new Key(this, 'Key', {
      description: 'Holdfast: the example database and its credentials',
      enableKeyRotation: true,
      rotationPeriod: Duration.days(90),
      removalPolicy: RemovalPolicy.RETAIN, // snapshots need it
    });
    const { connection } = new ExampleDatabase(this, 'Database', { identifier: `${installation.name}-example`, key });
    const { vpc, securityGroups } = connection.network!;
    new Parameters(this, 'Parameters', installation, {
      'database-host': connection.host,
      'database-secret-arn': connection.secretArn,
      'database-secret-key-arn': key.keyArn,
      'vpc-id': vpc.vpcId,
      'subnet-ids': vpc.privateSubnets.map((subnet) => subnet.subnetId).join(','),
      'availability-zones': this.availabilityZones.join(','),
      'security-group-ids': securityGroups.map((group) => group.securityGroupId).join(','),
    });
  }

  /** The two that every region has: asking the account would make the template depend on who asks. */
  override get availabilityZones(): string[] {
    return ['a', 'b'].map((zone) => `${this.region}${zone}`);
  }
}
