/** Root keys that were replaced: what functions are told of them, and may do with them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { WORKFLOWS } from '../../functions/catalogue.ts';
import { cloudSettings } from '../../lib/cloudSettings.ts';
import { RootKeys } from '../../lib/constructs/rootKeys.ts';
import { addStacks } from '../../lib/holdfastApp.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { keyArn } from './examples.ts';
import { exampleContext, FILES, newApp, PRIMARY, SECONDARY, templateOf } from './world.ts';

const ROOT = keyArn('mrk-00000000000000000000000000000011');
const [FORMER, SIGNED] = [
  keyArn('mrk-0000000000000000000000000000000a'),
  keyArn('mrk-0000000000000000000000000000000b'),
];

/** A stack, with a holdfast.yaml that names these keys. */
async function stackWith(former: string, signing: string, stack = 'holdfast-primary'): Promise<Template> {
  const map = join(await temporaryDirectory(), 'holdfast.yaml');
  const keys = `keys: {kms: "${ROOT}", signing: ["${signing}"], former: ["${former}"]}\n`;
  writeFileSync(map, readFileSync('sample/holdfast.yaml', 'utf8') + FILES + keys);
  const app = newApp();
  addStacks(app, cloudSettings({ ...exampleContext(), 'holdfast:map': map }));
  return Template.fromStack(app.node.findChild(stack) as Stack);
}

interface Statement {
  readonly Effect: string;
  readonly Action: string | string[];
  readonly Resource: unknown;
  readonly Condition?: unknown;
}

test('functions that use keys are told of former ones, and may unwrap and check with them, and nothing else', async () => {
  const template = await stackWith(FORMER, SIGNED);
  const functions = Object.values(template.findResources('AWS::Lambda::Function'));
  const told = functions.filter(
    ({ Properties }) => Properties.Environment.Variables.HOLDFAST_FORMER_ROOT_KEYS === FORMER,
  );
  const users = WORKFLOWS.filter(({ place }) => !place).flatMap(({ handlers }) =>
    Object.values(handlers).filter(({ keys }) => keys !== 'none'),
  );
  expect(told).toHaveLength(new Set(users.map(({ entry }) => entry)).size);
  for (const { Properties } of told) {
    expect(JSON.stringify(Properties.Environment.Variables.HOLDFAST_SIGNING_KEYS)).toContain(`,${SIGNED}`);
  }
  const statements = Object.values(template.findResources('AWS::IAM::Policy')).flatMap(
    ({ Properties }) => Properties.PolicyDocument.Statement as Statement[],
  );
  const about = (arn: string) => statements.filter(({ Resource }) => JSON.stringify(Resource).includes(arn));
  expect(about(FORMER).length).toBeGreaterThan(5);
  for (const statement of about(FORMER)) {
    expect(statement).toEqual({
      Effect: 'Allow',
      Action: 'kms:Decrypt',
      Resource: FORMER,
      Condition: { StringEquals: { 'kms:EncryptionContext:purpose': ['tenant-key', 'person-keys'] } },
    });
  }
  expect(about(SIGNED).length).toBeGreaterThan(5);
  for (const statement of about(SIGNED)) {
    expect(statement).toMatchObject({ Effect: 'Allow', Action: 'kms:GetPublicKey' });
  }
});

test('in the other region former keys are asked for there, under the same ids', async () => {
  const template = await stackWith(FORMER, SIGNED, 'holdfast-secondary');
  const [former, signed] = [FORMER, SIGNED].map((arn) => arn.replace(PRIMARY, SECONDARY));
  const told = Object.values(template.findResources('AWS::Lambda::Function')).flatMap(
    ({ Properties }) => Properties.Environment.Variables.HOLDFAST_FORMER_ROOT_KEYS ?? [],
  );
  expect(told).toEqual([former]);
  const policies = JSON.stringify(template.findResources('AWS::IAM::Policy'));
  expect(policies).toContain(`{"Action":"kms:GetPublicKey","Effect":"Allow","Resource":"${signed}"}`);
  for (const arn of [FORMER, SIGNED]) expect(JSON.stringify(template.toJSON())).not.toContain(arn);
});

test('a former key where the functions cannot ask for it is refused at synthesis', async () => {
  const elsewhere = FORMER.replace('eu-central-1', SECONDARY);
  await expect(stackWith(elsewhere, SIGNED)).rejects.toThrow(/^keys.former: expected the ARN of a key in eu-central-1/);
  await expect(stackWith(FORMER, elsewhere)).rejects.toThrow(
    /^keys.signing: expected the ARN of a key in eu-central-1/,
  );
  await expect(stackWith('alias/old', SIGNED)).rejects.toThrow(/^keys.former: expected/);
});

test('one more makes a new key, and the old one is left where it is', () => {
  const keys = (props: object) =>
    templateOf((scope) => void new RootKeys(scope, 'Keys', props)).findResources('AWS::KMS::Key');
  const [before, after] = [keys({}), keys({ wrappingNumber: 2 })];
  expect(Object.keys(before).filter((id) => id in after)).toHaveLength(1); // the signing key
  for (const key of Object.values(before)) expect(key).toMatchObject({ DeletionPolicy: 'Retain' });
});
