/** Properties of buckets that the emulator's CloudFormation leaves out, set by the calls that they stand for, with the template's values. */
import {
  type ObjectLockRetentionMode,
  PutBucketEncryptionCommand,
  PutBucketReplicationCommand,
  PutObjectLockConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { Deployed } from './deploy.ts';

interface BucketProperties {
  readonly BucketName?: string;
  readonly ObjectLockConfiguration?: { readonly Rule: { readonly DefaultRetention: { Mode: string; Days: number } } };
  readonly BucketEncryption?: {
    readonly ServerSideEncryptionConfiguration: readonly {
      readonly BucketKeyEnabled: boolean;
      readonly ServerSideEncryptionByDefault: { readonly SSEAlgorithm: 'aws:kms' };
    }[];
  };
  readonly ReplicationConfiguration?: {
    readonly Rules: readonly {
      readonly Id: string;
      readonly Priority: number;
      readonly Status: 'Enabled';
      readonly DeleteMarkerReplication: { readonly Status: 'Disabled' };
      readonly Destination: { readonly Bucket: unknown };
    }[];
  };
}

export interface Other {
  /** Name of the bucket that the rules copy to. */
  readonly replica?: string | undefined;
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

export async function setBucketProperties(
  { template, outputs }: Deployed,
  region: string,
  { replica, credentials }: Other = {},
): Promise<void> {
  const s3 = new S3Client({ region, forcePathStyle: true, ...(credentials ? { credentials } : {}) });
  for (const { Type, Properties } of Object.values(template.Resources)) {
    const properties = Properties as BucketProperties | undefined;
    const Bucket = properties?.BucketName;
    if (Type !== 'AWS::S3::Bucket' || Bucket === undefined) continue;
    const retention = properties!.ObjectLockConfiguration?.Rule.DefaultRetention;
    if (retention) {
      await s3.send(
        new PutObjectLockConfigurationCommand({
          Bucket,
          ObjectLockConfiguration: {
            ObjectLockEnabled: 'Enabled',
            Rule: { DefaultRetention: { Mode: retention.Mode as ObjectLockRetentionMode, Days: retention.Days } },
          },
        }),
      );
    }
    const encryption = properties!.BucketEncryption?.ServerSideEncryptionConfiguration[0];
    if (encryption) {
      const { SSEAlgorithm } = encryption.ServerSideEncryptionByDefault;
      await s3.send(
        new PutBucketEncryptionCommand({
          Bucket,
          ServerSideEncryptionConfiguration: {
            Rules: [
              {
                BucketKeyEnabled: encryption.BucketKeyEnabled,
                ApplyServerSideEncryptionByDefault: {
                  SSEAlgorithm,
                  KMSMasterKeyID: outputs.vaultKeyArn ?? 'alias/aws/s3',
                },
              },
            ],
          },
        }),
      );
    }
    const rules = properties!.ReplicationConfiguration?.Rules;
    if (!rules) continue;
    if (!JSON.stringify(rules).includes(`:::${replica}`)) throw new Error(`The rules of ${Bucket} copy elsewhere.`);
    await s3.send(
      new PutBucketReplicationCommand({
        Bucket,
        ReplicationConfiguration: {
          Role: 'arn:aws:iam::000000000000:role/replication',
          Rules: rules.map(({ Id, Priority, Status, DeleteMarkerReplication }) => ({
            ID: Id,
            Priority,
            Status,
            DeleteMarkerReplication,
            Filter: { Prefix: '' },
            Destination: { Bucket: `arn:aws:s3:::${replica}` },
          })),
        },
      }),
    );
  }
}
