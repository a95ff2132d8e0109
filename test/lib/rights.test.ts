/** What each role of the whole installation may do: read from the templates, not from the constructs that wrote them. */
import { beforeAll, expect, test } from '@jest/globals';
import { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { WORKFLOWS } from '../../functions/catalogue.ts';
import { cloudSettings } from '../../lib/cloudSettings.ts';
import { addStacks } from '../../lib/holdfastApp.ts';
import { FILES_KEY, filesContext, newApp, PRIMARY, SECONDARY } from './world.ts';

interface Statement {
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: string | string[];
  readonly Resource: unknown;
  readonly Condition?: Record<string, unknown>;
}
interface Right {
  readonly stack: string;
  readonly role: string;
  readonly action: string;
  readonly resource: string;
  readonly condition: string;
}

const templates = new Map<string, Record<string, { Type: string; Properties: Record<string, unknown> }>>();
const rights: Right[] = [];

beforeAll(async () => {
  const app = newApp();
  addStacks(app, cloudSettings(await filesContext()));
  for (const stack of app.node.children.filter((child) => child instanceof Stack)) {
    templates.set(stack.stackName, Template.fromStack(stack).toJSON().Resources);
  }
  for (const [stack, resources] of templates) {
    for (const { Type, Properties } of Object.values(resources)) {
      if (Type !== 'AWS::IAM::Policy') continue;
      const { Statement } = Properties.PolicyDocument as { Statement: Statement[] };
      for (const role of Properties.Roles as { Ref: string }[]) {
        for (const statement of Statement) rights.push(...rightsOf(stack, role.Ref, statement));
      }
    }
  }
});

const all = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value]);

function* rightsOf(stack: string, role: string, statement: Statement): Generator<Right> {
  if (statement.Effect !== 'Allow') return;
  for (const action of all(statement.Action) as string[]) {
    for (const resource of all(statement.Resource)) {
      yield {
        stack,
        role,
        action,
        resource: JSON.stringify(resource),
        condition: JSON.stringify(statement.Condition ?? {}),
      };
    }
  }
}

const roleOf = (entry: string): string =>
  `Fleet${entry.replace('functions/', '').replace('.ts', '').replaceAll(/[/-]/g, '')}Role`;
const handlers = WORKFLOWS.flatMap(({ handlers, place = 'primary' }) =>
  Object.values(handlers).map((handler) => ({ handler, stack: `holdfast-${place}` })),
);
const actionsOf = (stack: string, entry: string): string[] =>
  rights.filter((r) => r.stack === stack && r.role.startsWith(roleOf(entry))).map(({ action }) => action);

test('every function of the catalogue has a role of its own, and it may do no more than the catalogue says', () => {
  for (const { handler, stack } of handlers) {
    const actions = actionsOf(stack, handler.entry);
    expect(actions.length).toBeGreaterThan(0);
    const has = (action: string) => actions.includes(action);
    expect([handler.entry, has('s3:PutObject')]).toEqual([handler.entry, handler.store === 'write']);
    expect([handler.entry, has('s3:DeleteObject')]).toEqual([handler.entry, handler.store === 'delete']);
    expect([handler.entry, has('kms:Sign')]).toEqual([handler.entry, handler.keys === 'sign']);
    expect([handler.entry, has('secretsmanager:GetSecretValue')]).toEqual([handler.entry, handler.database]);
    const persons = rights.filter(
      (r) => r.stack === stack && r.role.startsWith(roleOf(handler.entry)) && r.resource.includes('person-keys'),
    );
    expect([handler.entry, persons.length > 0]).toEqual([handler.entry, handler.persons !== 'none']);
    expect(persons.some(({ action }) => action === 'dynamodb:PutItem')).toBe(handler.persons === 'write');
    expect([handler.entry, has('dynamodb:UpdateItem')]).toEqual([handler.entry, handler.once ?? false]);
  }
});

test('no role at all can take a version away, get round a lock, or change who may', () => {
  const forbidden =
    /^(\*|s3:\*|s3:DeleteObjectVersion|s3:Bypass|s3:PutObjectRetention|s3:PutObjectLegalHold|s3:PutBucket|s3:PutLifecycle|kms:\*|kms:ScheduleKeyDeletion|kms:DisableKey|kms:PutKeyPolicy|dynamodb:\*|iam:)/;
  expect(rights.filter(({ action }) => forbidden.test(action))).toEqual([]);
});

test('every right names what it is for; only actions that know no resource have none', () => {
  const unnamed = rights.filter(({ resource }) => resource === '"*"').map(({ action }) => action);
  const knowNone =
    /^(xray:Put\w+|xray:GetSampling\w+|ec2:(Create|Delete)NetworkInterface|ec2:Describe\w+|ec2:(Unassign|Assign)PrivateIpAddresses|logs:\w*(LogDelivery|LogDeliveries|ResourcePolicy|ResourcePolicies|LogGroups)\w*)$/;
  expect([...new Set(unnamed)].filter((action) => !knowNone.test(action))).toEqual([]);
});

test('the main account is read by what pulls from it, and by nothing else of the other account', () => {
  const pulling = handlers.filter(({ handler }) => handler.pulls).map(({ handler }) => roleOf(handler.entry));
  expect(pulling).toHaveLength(3);
  const ours = rights.filter(({ stack, resource }) => stack === 'holdfast-air-gapped' && resource.includes(PRIMARY));
  const readers = new Set(ours.map(({ role }) => role.replace(/[0-9A-F]{8}$/, '')));
  expect([...readers].sort()).toEqual(pulling.toSorted());
  expect([...new Set(ours.map(({ action }) => action))].sort()).toEqual([
    'kms:Decrypt',
    's3:GetObject',
    's3:ListBucket',
  ]);
  const letIn = JSON.stringify(Object.values(templates.get('holdfast-primary')!));
  const named = new Set([...letIn.matchAll(/:role\/holdfast-air-gap-(\w+)/g)].map(([, name]) => name));
  expect([...named].sort()).toEqual(['list', 'pull', 'seal']);
});

test('what is removed from a bucket is removed by a function of its own region, and from the air-gapped one nothing is', () => {
  const deleting = rights.filter(({ action }) => /^s3:(Delete|Bypass|PutLifecycle|PutBucket|\*)/.test(action));
  const removers = (stack: string) => [
    ...new Set(deleting.filter((right) => right.stack === stack).map(({ role }) => role.replace(/[0-9A-F]{8}$/, ''))),
  ];
  expect(removers('holdfast-secondary')).toEqual([roleOf('functions/retention/expire.ts')]);
  expect(removers('holdfast-primary').toSorted()).toEqual(
    [roleOf('functions/cleanup/expire.ts'), roleOf('functions/cleanup/files.ts')].toSorted(),
  );
  expect(new Set(deleting.map(({ stack }) => stack))).toEqual(new Set(['holdfast-primary', 'holdfast-secondary']));
  // Of its own stack, by reference: the bucket of another one has a name only.
  for (const { action, resource } of deleting) {
    expect(action).toBe('s3:DeleteObject');
    expect(resource).toMatch(/^\{"Fn::Join":\["",\[\{"Fn::GetAtt":\["VaultBucket\w+","Arn"\]\},"\/\*"\]\]\}$/);
  }
  // From the primary region, S3 itself copies into the other bucket and functions look whether it has; nothing else is allowed there.
  const across = rights.filter(
    ({ stack, resource }) =>
      stack === 'holdfast-primary' && resource.includes(`-${SECONDARY}`) && /s3:::/.test(resource),
  );
  expect([...new Set(across.map(({ action }) => action))].sort()).toEqual(['s3:ReplicateObject', 's3:ReplicateTags']);
});

test("users' files are read by what copies them, below what holdfast.yaml names, and by nothing else", () => {
  const theirs = rights.filter(
    ({ resource }) => /my-uploads|my-pictures/.test(resource) || resource.includes(FILES_KEY),
  );
  const copying = handlers.filter(({ handler }) => handler.sources).map(({ handler }) => roleOf(handler.entry));
  expect(copying).toEqual([roleOf('functions/files/copy.ts')]);
  expect(theirs.filter(({ role }) => !role.startsWith(copying[0]!))).toEqual([]);
  const named = theirs.map(({ action, resource, condition }) => {
    const { 'Fn::Join': parts } = resource.startsWith('{') ? JSON.parse(resource) : { 'Fn::Join': [[], [resource]] };
    return [action, parts[1].at(-1).replace(/"/g, ''), condition];
  });
  expect(named).toEqual([
    ['s3:GetObject', ':s3:::my-uploads/voice/*', '{}'],
    ['s3:GetObject', ':s3:::my-uploads/other/*', '{}'],
    ['s3:GetObject', ':s3:::my-pictures/*', '{}'],
    ['s3:ListBucket', ':s3:::my-uploads', '{}'],
    ['s3:ListBucket', ':s3:::my-pictures', '{}'],
    ['kms:Decrypt', FILES_KEY, '{"StringLike":{"kms:ViaService":"s3.*.amazonaws.com*"}}'],
  ]);
});

test('whatever starts a workflow by the clock can leave behind what it could not start', () => {
  const starts = (stack: string) => {
    const all = Object.values(templates.get(stack)!).filter(({ Type }) => Type === 'AWS::Scheduler::Schedule');
    return all.map(({ Properties }) => Properties.Target as Record<'RoleArn' | 'Arn' | 'DeadLetterConfig', unknown>);
  };
  for (const stack of ['holdfast-primary', 'holdfast-secondary', 'holdfast-air-gapped']) {
    expect(starts(stack).length).toBeGreaterThan(0);
    for (const { RoleArn, Arn, DeadLetterConfig } of starts(stack)) {
      const role = (RoleArn as { 'Fn::GetAtt': string[] })['Fn::GetAtt'][0];
      const own = rights.filter((right) => right.stack === stack && right.role === role);
      const may = (action: string) => own.filter((right) => right.action === action).map(({ resource }) => resource);
      expect(may('states:StartExecution')).toContain(JSON.stringify(Arn));
      expect(may('sqs:SendMessage')).toEqual([JSON.stringify((DeadLetterConfig as { Arn: unknown }).Arn)]);
      const queues = Object.values(templates.get(stack)!).filter(({ Type }) => Type === 'AWS::SQS::Queue');
      for (const { Properties } of queues) {
        for (const action of ['kms:GenerateDataKey', 'kms:Decrypt']) {
          expect(may(action)).toEqual([JSON.stringify(Properties.KmsMasterKeyId)]);
        }
      }
    }
  }
});

test('what alarms and rules have to tell gets through: topic and key let both in', () => {
  for (const stack of ['holdfast-primary', 'holdfast-secondary', 'holdfast-air-gapped']) {
    const resources = templates.get(stack)!;
    const all = (type: string) => Object.entries(resources).filter(([, { Type }]) => Type === type);
    const told = [
      ...all('AWS::CloudWatch::Alarm').flatMap(([, { Properties }]) => Properties.AlarmActions as { Ref: string }[]),
      ...all('AWS::Events::Rule').flatMap(([, { Properties }]) =>
        (Properties.Targets as { Arn: { Ref: string } }[]).map(({ Arn }) => Arn),
      ),
    ];
    expect(told.length).toBeGreaterThan(4);
    for (const topic of new Set(told.map(({ Ref }) => Ref))) {
      const key = (resources[topic]!.Properties.KmsMasterKeyId as { 'Fn::GetAtt': string[] })['Fn::GetAtt'][0]!;
      const policies = all('AWS::SNS::TopicPolicy').filter(([, { Properties }]) =>
        (Properties.Topics as { Ref: string }[]).some(({ Ref }) => Ref === topic),
      );
      const lets = (document: unknown, action: string) =>
        (document as { Statement: (Statement & { Principal: { Service?: string } })[] }).Statement.filter(
          ({ Effect, Action }) => Effect === 'Allow' && [Action].flat().includes(action),
        ).map(({ Principal }) => Principal.Service);
      for (const service of ['cloudwatch.amazonaws.com', 'events.amazonaws.com']) {
        expect(policies.flatMap(([, { Properties }]) => lets(Properties.PolicyDocument, 'sns:Publish'))).toContain(
          service,
        );
        expect(lets(resources[key]!.Properties.KeyPolicy, 'kms:GenerateDataKey')).toContain(service);
        expect(lets(resources[key]!.Properties.KeyPolicy, 'kms:Decrypt')).toContain(service);
      }
    }
  }
});

test('the root key is used by no role without saying for which purpose', () => {
  const uses = rights.filter(
    ({ action, resource }) => /^kms:(Encrypt|Decrypt|Generate)/.test(action) && /wrappingkeyarn/i.test(resource),
  );
  expect(uses.length).toBeGreaterThan(10);
  for (const { condition } of uses)
    expect(condition).toContain('"kms:EncryptionContext:purpose":["tenant-key","person-keys"]');
});

test('no stack refers to another, and none of one region to a thing in another but by its name', () => {
  for (const [stack, resources] of templates) {
    const text = JSON.stringify(resources);
    expect(text).not.toMatch(
      /Fn::ImportValue|Custom::CrossRegion|ExportsReader|ExportsWriter|AWS::CloudFormation::Stack/,
    );
    // The one place that the primary region needs of the other: where copies go. The other needs nothing of this one but the keys.
    const other = stack === 'holdfast-primary' ? [] : [...text.matchAll(new RegExp(PRIMARY, 'g'))];
    if (stack === 'holdfast-secondary') expect(other).toHaveLength(2); // ARNs of the two keys that it replicates
    if (stack === 'holdfast-keys') expect(text.split(SECONDARY)).toHaveLength(2); // the replica of the table
  }
});
