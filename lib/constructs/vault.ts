import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { AccountPrincipal, AnyPrincipal, Effect, type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { type IKey, Key } from 'aws-cdk-lib/aws-kms';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type IBucket,
  type LifecycleRule,
  ObjectLockRetention,
  ObjectOwnership,
  StorageClass,
} from 'aws-cdk-lib/aws-s3';
import { S3_SERVER_ACCESS_LOGS_USE_BUCKET_POLICY } from 'aws-cdk-lib/cx-api';
import { Construct } from 'constructs';
import { accept } from '../accept.ts';
import { SynthError } from '../synthError.ts';
import { replication, type VaultReplica } from './vaultReplication.ts';

/** How long no one can delete or overwrite what was written. */
export interface VaultLock {
  /** `governance`: a role with a special right may; no role of these stacks has it. `compliance`: nobody may, the account's root included. */
  readonly mode: 'governance' | 'compliance';
  /** 1 to 36,500. */
  readonly days: number;
}

export interface VaultProps {
  /** Deterministic, so that the other region can name it; see `Installation.vaultName`. */
  readonly bucketName: string;
  /** Of every object, from when it is written. */
  readonly lock: VaultLock;
  /**
   * Days after which an object that no backup needs any more may be gone. Cleanup removes objects; this bounds how long the
   * versions that it removed stay. Not less than the lock's days. @default the lock's days
   */
  readonly removedVersionDays?: number;
  /** Days after which objects move to a cheaper class that is read as quickly. @default never */
  readonly infrequentAfterDays?: number;
  /** Where each object is copied. @default nowhere */
  readonly replica?: VaultReplica;
  /** Roles of other accounts that may read everything, and nothing else. @default none */
  readonly readerRoleArns?: readonly string[];
  /** Encrypts the bucket. What lies in it is encrypted already, tenant by tenant. @default a new key that rotates */
  readonly encryptionKey?: IKey;
}

/**
 * A bucket of backups. Objects are written once: a put without `If-None-Match` is refused by the bucket itself, whoever asks, and
 * versions are locked. Whoever writes backups can neither delete nor overwrite them.
 */
export class Vault extends Construct {
  readonly bucket: Bucket;
  readonly key: IKey;
  /** Where each object is copied; undefined: nowhere. */
  readonly replica: VaultReplica | undefined;

  /** @throws SynthError for a lock that cannot be, or one that outlives what it should protect */
  constructor(scope: Construct, id: string, props: VaultProps) {
    super(scope, id);
    // Access logs by bucket policy: the old way is by ACLs, which these buckets do not have.
    this.node.setContext(S3_SERVER_ACCESS_LOGS_USE_BUCKET_POLICY, true);
    const { lock, removedVersionDays = lock.days } = props;
    if (!Number.isInteger(lock.days) || lock.days < 1 || lock.days > 36_500) {
      throw new SynthError('lock.days', 'a whole number of days from 1 to 36500', lock.days);
    }
    if (removedVersionDays < lock.days) {
      throw new SynthError('removedVersionDays', `at least the ${lock.days} days of the lock`, removedVersionDays);
    }
    this.key =
      props.encryptionKey ??
      new Key(this, 'Key', {
        description: 'Holdfast: encrypts the bucket of backups',
        enableKeyRotation: true,
        rotationPeriod: Duration.days(90),
        pendingWindow: Duration.days(30),
        removalPolicy: RemovalPolicy.RETAIN,
      });
    this.replica = props.replica;
    this.bucket = new Bucket(this, 'Bucket', {
      bucketName: props.bucketName,
      versioned: true,
      encryption: BucketEncryption.KMS,
      encryptionKey: this.key,
      bucketKeyEnabled: true,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      objectLockEnabled: true,
      objectLockDefaultRetention:
        lock.mode === 'compliance'
          ? ObjectLockRetention.compliance(Duration.days(lock.days))
          : ObjectLockRetention.governance(Duration.days(lock.days)),
      lifecycleRules: lifecycle(removedVersionDays, props.infrequentAfterDays),
      serverAccessLogsBucket: accessLogs(this),
      serverAccessLogsPrefix: `${props.bucketName}/`,
      removalPolicy: RemovalPolicy.RETAIN,
      ...(props.replica ? replication(this, this.key, props.replica, props.bucketName) : {}),
    });
    for (const statement of this.#refusals()) this.bucket.addToResourcePolicy(statement);
    for (const role of props.readerRoleArns ?? []) this.#letRead(role);
    accept(
      this,
      ['AWS::IAM::Policy'],
      [
        {
          id: 'AwsSolutions-IAM5',
          reason: 'S3 copies every object of this bucket; the wildcards are below the two buckets.',
        },
      ],
    );
  }

  /** To write backups: put new objects, read and list. Neither delete nor overwrite. */
  grantWrite(grantee: IGrantable): void {
    this.grantRead(grantee);
    this.#allow(grantee, ['s3:PutObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts'], '/*');
    this.#allowKey(grantee, ['kms:GenerateDataKey']);
  }

  /** To read and list backups. */
  grantRead(grantee: IGrantable): void {
    this.#allow(grantee, ['s3:GetObject'], '/*');
    this.#allow(grantee, ['s3:ListBucket'], '');
    this.#allowKey(grantee, ['kms:Decrypt']);
  }

  /** For retention alone: put delete markers. Versions go by lifecycle, when their lock has ended. */
  grantExpire(grantee: IGrantable): void {
    this.grantRead(grantee);
    this.#allow(grantee, ['s3:DeleteObject'], '/*');
  }

  /**
   * The account is the principal and the role a condition: a policy that names a role which is not there yet cannot be deployed, and
   * one made again under its name would not be the one that was named.
   */
  #letRead(roleArn: string): void {
    const [, , , , account = ''] = roleArn.split(':');
    if (!/^\d{12}$/.test(account)) throw new SynthError('readerRoleArns', 'ARNs of roles', roleArn);
    const statement = (actions: string[], resources: string[]) =>
      new PolicyStatement({
        principals: [new AccountPrincipal(account)],
        actions,
        resources,
        conditions: { ArnEquals: { 'aws:PrincipalArn': roleArn } },
      });
    this.bucket.addToResourcePolicy(statement(['s3:GetObject'], [`${this.bucket.bucketArn}/*`]));
    this.bucket.addToResourcePolicy(statement(['s3:ListBucket'], [this.bucket.bucketArn]));
    if (!this.key.addToResourcePolicy(statement(['kms:Decrypt'], ['*'])).statementAdded) {
      throw new SynthError(
        'encryptionKey',
        'a key of this stack, since another account must be let in',
        this.key.keyArn,
      );
    }
  }

  #allow(grantee: IGrantable, actions: string[], below: '' | '/*'): void {
    grantee.grantPrincipal.addToPrincipalPolicy(
      new PolicyStatement({ actions, resources: [`${this.bucket.bucketArn}${below}`] }),
    );
  }

  #allowKey(grantee: IGrantable, actions: string[]): void {
    grantee.grantPrincipal.addToPrincipalPolicy(new PolicyStatement({ actions, resources: [this.key.keyArn] }));
  }

  /** What the bucket refuses to everybody, whatever their role allows. */
  #refusals(): PolicyStatement[] {
    const deny = (sid: string, actions: string[], conditions?: Record<string, unknown>) =>
      new PolicyStatement({
        sid,
        effect: Effect.DENY,
        principals: [new AnyPrincipal()],
        actions,
        resources: [`${this.bucket.bucketArn}/*`],
        ...(conditions ? { conditions } : {}),
      });
    return [
      // Creating an object, not uploading a part of it, which cannot carry the header.
      deny('WriteOnce', ['s3:PutObject'], {
        Null: { 's3:if-none-match': 'true' },
        Bool: { 's3:ObjectCreationOperation': 'true' },
      }),
      deny('NoWayAroundTheLock', ['s3:BypassGovernanceRetention', 's3:DeleteObjectVersion', 's3:PutObjectRetention']),
    ];
  }
}

/** Who read what, for an auditor; kept longer than most backups. */
function accessLogs(scope: Construct): IBucket {
  const logs = new Bucket(scope, 'AccessLogs', {
    encryption: BucketEncryption.S3_MANAGED, // the log service cannot use a customer key
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
    lifecycleRules: [{ id: 'a-year', expiration: Duration.days(400) }],
    removalPolicy: RemovalPolicy.RETAIN,
  });
  accept(
    logs,
    ['AWS::S3::Bucket'],
    [{ id: 'AwsSolutions-S1', reason: 'It holds the access logs; logging it would log itself.' }],
  );
  return logs as IBucket;
}

function lifecycle(removedVersionDays: number, infrequentAfterDays: number | undefined): LifecycleRule[] {
  return [
    {
      id: 'what-cleanup-removed',
      noncurrentVersionExpiration: Duration.days(removedVersionDays),
      expiredObjectDeleteMarker: true,
      abortIncompleteMultipartUploadAfter: Duration.days(2),
    },
    ...(infrequentAfterDays === undefined
      ? []
      : [
          {
            id: 'cheaper-with-age',
            transitions: [
              {
                storageClass: StorageClass.GLACIER_INSTANT_RETRIEVAL,
                transitionAfter: Duration.days(infrequentAfterDays),
              },
            ],
          },
        ]),
  ];
}
