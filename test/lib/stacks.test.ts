import { expect, test } from '@jest/globals';
import type { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Installation } from '../../lib/installation.ts';
import { AirGappedStack } from '../../lib/stacks/airGappedStack.ts';
import { KeyStack } from '../../lib/stacks/keyStack.ts';
import { SecondaryStack } from '../../lib/stacks/secondaryStack.ts';
import { ACCOUNT, newApp, PRIMARY, SECONDARY } from './world.ts';

const installation = new Installation({ account: ACCOUNT, primaryRegion: PRIMARY, secondaryRegion: SECONDARY });
const key = (id: string) => `arn:aws:kms:${PRIMARY}:${ACCOUNT}:key/${id}`;
const terms = { lock: { mode: 'governance', days: 35 }, removedVersionDays: 35 } as const;
const PUBLIC_KEYS = 'sample/public-keys.pem';
const MAP = 'sample/holdfast.yaml';
const OTHER_ACCOUNT = '444455556666';

function stacks(): Record<'keys' | 'secondary' | 'airGapped', Stack> {
  const app = newApp();
  return {
    keys: new KeyStack(app, 'Keys', { installation, env: { account: ACCOUNT, region: PRIMARY } }),
    secondary: new SecondaryStack(app, 'Secondary', {
      installation,
      wrappingKeyArn: key('mrk-1'),
      signingKeyArn: key('mrk-2'),
      terms,
      map: MAP,
      env: { account: ACCOUNT, region: SECONDARY },
    }),
    airGapped: new AirGappedStack(app, 'AirGapped', {
      installation,
      account: OTHER_ACCOUNT,
      map: MAP,
      publicKeys: PUBLIC_KEYS,
      sourceKeyArn: key('1'),
      env: { account: OTHER_ACCOUNT, region: SECONDARY },
    }),
  };
}

test('no stack reads from another: what one needs of another region is given to it', () => {
  for (const stack of Object.values(stacks())) {
    expect(stack.dependencies).toEqual([]);
    const text = JSON.stringify(Template.fromStack(stack).toJSON());
    expect(text).not.toMatch(/Fn::ImportValue|Custom::CrossRegion|ExportsReader|ExportsWriter/);
  }
});

test('in the other region the root key refuses the same, and is the same', () => {
  const template = Template.fromStack(stacks().secondary);
  const replicas = Object.values(template.findResources('AWS::KMS::ReplicaKey'));
  expect(replicas.map((replica) => replica.Properties.PrimaryKeyArn)).toEqual([key('mrk-1'), key('mrk-2')]);
  const sids = replicas[0]!.Properties.KeyPolicy.Statement.map((statement: { Sid?: string }) => statement.Sid);
  expect(sids).toEqual(expect.arrayContaining(['OnlyForAKnownPurpose', 'OnlyForOneTenant']));
  const app = newApp();
  const notMultiRegion = { installation, wrappingKeyArn: key('1'), signingKeyArn: key('mrk-2') };
  expect(() => new SecondaryStack(app, 'S', { ...notMultiRegion, terms, map: MAP })).toThrow(
    'wrappingKeyArn: expected',
  );
});

test('copies are cleaned up where they are, once a week, with nothing of the primary region', () => {
  const template = Template.fromStack(stacks().secondary);
  template.hasResourceProperties('AWS::Scheduler::Schedule', {
    Name: 'retention',
    ScheduleExpression: 'cron(0 6 ? * SUN *)',
    ScheduleExpressionTimezone: 'UTC',
    State: 'ENABLED',
  });
  template.hasResourceProperties('AWS::StepFunctions::StateMachine', { StateMachineName: 'holdfast-retention' });
  template.resourceCountIs('AWS::StepFunctions::StateMachine', 1);
  template.resourceCountIs('AWS::CloudWatch::Alarm', 3);
  const functions = Object.values(template.findResources('AWS::Lambda::Function'));
  expect(functions).toHaveLength(2);
  for (const { Properties } of functions) {
    const { HOLDFAST_STORE, ...others } = Properties.Environment.Variables;
    expect(JSON.stringify(HOLDFAST_STORE)).toMatch(/"s3:\/\/",\{"Ref":"VaultBucket\w+"\}/);
    expect(Object.keys(others).filter((name) => /DATABASE_(?!CA)|REPLICA|PERSON|SOURCE/.test(name))).toEqual([]);
    expect(Properties.VpcConfig).toBeUndefined();
  }
});

test('the air-gapped copy is in another account, and nobody there can delete it', () => {
  Template.fromStack(stacks().airGapped).hasResourceProperties('AWS::S3::Bucket', {
    BucketName: `holdfast-airgap-${OTHER_ACCOUNT}-${SECONDARY}`,
    ObjectLockConfiguration: { Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: 400 } } },
  });
  expect(
    () =>
      new AirGappedStack(newApp(), 'A', {
        installation,
        account: ACCOUNT,
        map: MAP,
        publicKeys: PUBLIC_KEYS,
        sourceKeyArn: key('1'),
      }),
  ).toThrow('another account');
});

test('only the function that seals asks for locks there, and no function can set or lift one', () => {
  const policies = Object.values(Template.fromStack(stacks().airGapped).findResources('AWS::IAM::Policy'));
  const statements = policies.flatMap(({ Properties }) =>
    (Properties.PolicyDocument.Statement as { Action: string | string[] }[]).map((statement) => ({
      role: JSON.stringify(Properties.Roles),
      ...statement,
    })),
  );
  const about = statements.filter(({ Action }) => /Retention|LegalHold/.test(JSON.stringify(Action)));
  expect(about).toEqual([
    expect.objectContaining({
      role: expect.stringContaining('airgapseal'),
      Effect: 'Allow',
      Action: 's3:GetObjectRetention',
      Resource: { 'Fn::Join': ['', [{ 'Fn::GetAtt': [expect.stringContaining('Vault'), 'Arn'] }, '/*']] },
    }),
  ]);
});

test('what holds keys and backups is not deleted with its stack', () => {
  for (const stack of Object.values(stacks())) {
    expect(stack.terminationProtection).toBe(true);
    const resources = Object.values(Template.fromStack(stack).toJSON().Resources) as Record<string, unknown>[];
    const precious = resources.filter(
      (r) =>
        /S3::Bucket$|KMS::(Replica)?Key$|GlobalTable$/.test(String(r.Type)) &&
        !/notifications and queues|"expiration"/.test(JSON.stringify(r)), // live for two weeks at most
    );
    expect(precious.length).toBeGreaterThan(0);
    for (const resource of precious) expect(resource).toMatchObject({ DeletionPolicy: 'Retain' });
  }
});
