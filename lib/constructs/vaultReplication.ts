import { Aws } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { type IKey, Key } from 'aws-cdk-lib/aws-kms';
import { Bucket, ReplicationTimeValue } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';

export interface VaultReplica {
  /** Name of the bucket in the other region or account; it must exist when this one is deployed. */
  readonly bucketName: string;
  /** ARN of the key that encrypts it. */
  readonly keyArn: string;
}

/** Delete markers are not copied: what is removed here stays there for as long as its own lock and lifecycle say. */
export function replication(scope: Construct, key: IKey, { bucketName, keyArn }: VaultReplica, source: string) {
  return {
    replicationRole: replicator(scope, key, { bucketName, keyArn }, source),
    replicationRules: [
      {
        id: 'secondary',
        priority: 1,
        destination: Bucket.fromBucketName(scope, 'Replica', bucketName),
        kmsKey: Key.fromKeyArn(scope, 'ReplicaKey', keyArn),
        sseKmsEncryptedObjects: true,
        deleteMarkerReplication: false,
        replicationTimeControl: ReplicationTimeValue.FIFTEEN_MINUTES,
        metrics: ReplicationTimeValue.FIFTEEN_MINUTES,
      },
    ],
  };
}

/** S3 itself, copying. Unlike the role that the library would make, it cannot delete there, and it can read the locks, without which S3 copies nothing. */
function replicator(scope: Construct, key: IKey, replica: VaultReplica, source: string): Role {
  const role = new Role(scope, 'Replicator', { assumedBy: new ServicePrincipal('s3.amazonaws.com') });
  const bucket = (name: string) => `arn:${Aws.PARTITION}:s3:::${name}`;
  const allow = (actions: string[], resource: string) =>
    role.addToPolicy(new PolicyStatement({ actions, resources: [resource] }));
  allow(['s3:GetReplicationConfiguration', 's3:ListBucket'], bucket(source));
  allow(
    [
      's3:GetObjectVersionForReplication',
      's3:GetObjectVersionAcl',
      's3:GetObjectVersionTagging',
      's3:GetObjectRetention',
      's3:GetObjectLegalHold',
    ],
    `${bucket(source)}/*`,
  );
  allow(['s3:ReplicateObject', 's3:ReplicateTags'], `${bucket(replica.bucketName)}/*`);
  allow(['kms:Decrypt'], key.keyArn);
  allow(['kms:Encrypt', 'kms:GenerateDataKey'], replica.keyArn);
  return role;
}
