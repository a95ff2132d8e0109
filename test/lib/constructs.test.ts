import { expect, test } from '@jest/globals';
import { Match } from 'aws-cdk-lib/assertions';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Notifications } from '../../lib/constructs/notifications.ts';
import { PersonKeyTable } from '../../lib/constructs/personKeyTable.ts';
import { RootKeys } from '../../lib/constructs/rootKeys.ts';
import { Vault, type VaultProps } from '../../lib/constructs/vault.ts';
import { Installation } from '../../lib/installation.ts';
import { ACCOUNT, PRIMARY, SECONDARY, templateOf } from './world.ts';

const vault = (props: Partial<VaultProps> = {}) =>
  templateOf((scope) => {
    const made = new Vault(scope, 'Vault', {
      bucketName: 'the-vault',
      lock: { mode: 'governance', days: 35 },
      ...props,
    });
    const role = (id: string) => new Role(scope, id, { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    made.grantWrite(role('Writer'));
    made.grantExpire(role('Cleaner'));
  });

/** Every action that the policies of a role allow. */
function allowed(template: ReturnType<typeof vault>, role: string): string[] {
  return Object.values(template.findResources('AWS::IAM::Policy'))
    .filter((policy) => JSON.stringify(policy.Properties.Roles).includes(role))
    .flatMap((policy) => policy.Properties.PolicyDocument.Statement)
    .filter((statement) => statement.Effect === 'Allow')
    .flatMap((statement) => statement.Action);
}

test('the bucket refuses what would overwrite or delete, whoever asks', () => {
  const template = vault();
  template.hasResourceProperties('AWS::S3::Bucket', {
    VersioningConfiguration: { Status: 'Enabled' },
    ObjectLockEnabled: true,
    ObjectLockConfiguration: { Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 35 } } },
    PublicAccessBlockConfiguration: {
      BlockPublicAcls: true,
      BlockPublicPolicy: true,
      IgnorePublicAcls: true,
      RestrictPublicBuckets: true,
    },
  });
  const deny = (Action: unknown, Condition: unknown = Match.absent()) =>
    Match.objectLike({ Effect: 'Deny', Action, Condition, Principal: { AWS: '*' } });
  template.hasResourceProperties('AWS::S3::BucketPolicy', {
    PolicyDocument: {
      Statement: Match.arrayWith([
        deny('s3:*', { Bool: { 'aws:SecureTransport': 'false' } }),
        deny('s3:PutObject', {
          Null: { 's3:if-none-match': 'true' },
          Bool: { 's3:ObjectCreationOperation': 'true' },
        }),
        deny(['s3:BypassGovernanceRetention', 's3:DeleteObjectVersion', 's3:PutObjectRetention']),
      ]),
    },
  });
});

test('whoever writes can neither delete, nor overwrite, nor get round the lock; whoever cleans cannot write', () => {
  const template = vault();
  const writer = allowed(template, 'Writer');
  expect(writer).toContain('s3:PutObject');
  expect(writer.filter((action) => /Delete|Bypass|Retention|LegalHold|\*/.test(action))).toEqual([]);
  const cleaner = allowed(template, 'Cleaner');
  expect(cleaner).toContain('s3:DeleteObject');
  expect(cleaner.filter((action) => /Put|Version|Bypass|\*/.test(action))).toEqual([]);
});

test('a replica gets everything but the delete markers', () => {
  const keyArn = `arn:aws:kms:${SECONDARY}:${ACCOUNT}:key/mrk-1`;
  vault({ replica: { bucketName: 'the-other-vault', keyArn } }).hasResourceProperties('AWS::S3::Bucket', {
    ReplicationConfiguration: {
      Rules: [
        Match.objectLike({
          Status: 'Enabled',
          DeleteMarkerReplication: { Status: 'Disabled' },
          SourceSelectionCriteria: { SseKmsEncryptedObjects: { Status: 'Enabled' } },
          Destination: Match.objectLike({ EncryptionConfiguration: { ReplicaKmsKeyID: keyArn } }),
        }),
      ],
    },
  });
});

test('who copies to the other region can read locks, and can delete neither here nor there', () => {
  const keyArn = `arn:aws:kms:${SECONDARY}:${ACCOUNT}:key/mrk-1`;
  const actions = allowed(vault({ replica: { bucketName: 'the-other-vault', keyArn } }), 'Replicator');
  expect(actions).toEqual(
    expect.arrayContaining(['s3:GetObjectRetention', 's3:GetObjectLegalHold', 's3:ReplicateObject']),
  );
  expect(actions.filter((action) => /Delete|Put|\*/.test(action))).toEqual([]);
});

test.each([
  ['no lock', { lock: { mode: 'governance', days: 0 } }, 'lock.days'],
  ['half a day', { lock: { mode: 'compliance', days: 0.5 } }, 'lock.days'],
  ['gone before the lock ends', { removedVersionDays: 10 }, 'removedVersionDays'],
] as const)('%s is refused at synthesis', (_, props, prop) => {
  expect(() => vault(props)).toThrow(new RegExp(`^${prop.replace('.', '\\.')}: expected .*; got `));
});

test('the root key works for nobody who does not say what for and whose', () => {
  const template = templateOf((scope) => {
    new RootKeys(scope, 'Keys');
  });
  template.hasResourceProperties('AWS::KMS::Key', {
    MultiRegion: true,
    EnableKeyRotation: true,
    RotationPeriodInDays: 90,
    KeyPolicy: {
      Statement: Match.arrayWith([
        Match.objectLike({
          Effect: 'Deny',
          Principal: { AWS: '*' },
          Condition: { StringNotEquals: { 'kms:EncryptionContext:purpose': ['tenant-key', 'person-keys'] } },
        }),
        Match.objectLike({ Effect: 'Deny', Condition: { Null: { 'kms:EncryptionContext:tenant': 'true' } } }),
      ]),
    },
  });
  template.hasResourceProperties('AWS::KMS::Key', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
});

test('no point-in-time recovery for the keys of persons, in any region', () => {
  const template = templateOf((scope) => {
    new PersonKeyTable(scope, 'Persons', { tableName: 't', replicaRegions: [SECONDARY] });
  });
  const [table] = Object.values(template.findResources('AWS::DynamoDB::GlobalTable'));
  const replicas = table!.Properties.Replicas as Record<string, unknown>[];
  expect(replicas.map((replica) => replica.Region).sort()).toEqual([PRIMARY, SECONDARY]);
  for (const replica of replicas) {
    expect(replica).toMatchObject({
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: false },
      DeletionProtectionEnabled: true,
    });
  }
});

test('people hear of a key before it is gone', () => {
  const template = templateOf((scope) => {
    new Notifications(scope, 'Notifications', { topicName: 'topic' });
  });
  template.hasResourceProperties('AWS::Events::Rule', {
    EventPattern: {
      source: ['aws.kms'],
      'detail-type': ['AWS API Call via CloudTrail'],
      detail: { eventName: Match.arrayWith(['ScheduleKeyDeletion', 'DisableKey']) },
    },
    Targets: [{ Arn: { Ref: Match.stringLikeRegexp('^NotificationsTopic') }, Id: Match.anyValue() }],
  });
});

test('names that would not fit are refused', () => {
  const make = (props: object) => () => new Installation({ account: ACCOUNT, primaryRegion: PRIMARY, ...props });
  expect(make({ name: 'Hold_Fast' })).toThrow('name: expected');
  expect(make({ account: '1' })).toThrow('account: expected');
  expect(make({ primaryRegion: 'frankfurt' })).toThrow('region: expected');
  expect(make({ secondaryRegion: PRIMARY })).toThrow('secondaryRegion: expected another region');
});
