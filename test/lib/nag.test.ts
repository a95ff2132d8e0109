import { expect, test } from '@jest/globals';
import { Aspects, Stack } from 'aws-cdk-lib';
import { Annotations, Match } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { cloudSettings } from '../../lib/cloudSettings.ts';
import { addStacks } from '../../lib/holdfastApp.ts';
import { filesContext, newApp } from './world.ts';

test('cdk-nag finds nothing in any stack that is not accepted, and each that is has its reason', async () => {
  const app = newApp();
  addStacks(app, cloudSettings(await filesContext()));
  Aspects.of(app).add(new AwsSolutionsChecks());
  const stacks = app.node.children.filter((child) => child instanceof Stack);
  expect(stacks).toHaveLength(5);
  for (const stack of stacks) {
    const annotations = Annotations.fromStack(stack);
    const found = [
      ...annotations.findError('*', Match.stringLikeRegexp('AwsSolutions-.*')),
      ...annotations.findWarning('*', Match.stringLikeRegexp('AwsSolutions-.*')),
    ];
    expect(found.map(({ id, entry }) => `${id} ${String(entry.data).slice(0, 200)}`)).toEqual([]);
    for (const construct of stack.node.findAll()) {
      for (const { type, data } of construct.node.metadata) {
        if (type !== 'cdk_nag') continue;
        for (const rule of (data as { rules_to_suppress: { reason: string }[] }).rules_to_suppress) {
          expect(rule.reason.length).toBeGreaterThan(20);
        }
      }
    }
  }
});
