import { expect, test } from '@jest/globals';
import { Aspects, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { cloudSettings } from '../../lib/cloudSettings.ts';
import { addStacks } from '../../lib/holdfastApp.ts';
import { filesContext, newApp } from './world.ts';

interface Resource {
  readonly Metadata?: { readonly cdk_nag?: { readonly rules_to_suppress: readonly { readonly reason: string }[] } };
}

test('cdk-nag finds nothing in any stack that is not accepted, and each that is has its reason', async () => {
  const app = newApp();
  addStacks(app, cloudSettings(await filesContext()));
  Aspects.of(app).add(new AwsSolutionsChecks());
  const stacks = app.node.children.filter((child) => child instanceof Stack);
  expect(stacks).toHaveLength(5);
  const reasons: string[] = [];
  for (const stack of stacks) {
    const annotations = Annotations.fromStack(stack);
    const found = [
      ...annotations.findError('*', Match.stringLikeRegexp('AwsSolutions-.*')),
      ...annotations.findWarning('*', Match.stringLikeRegexp('AwsSolutions-.*')),
    ];
    expect(found.map(({ id, entry }) => `${id} ${String(entry.data).slice(0, 200)}`)).toEqual([]);
    for (const { Metadata } of Object.values(
      Template.fromStack(stack).toJSON().Resources as Record<string, Resource>,
    )) {
      reasons.push(...(Metadata?.cdk_nag?.rules_to_suppress ?? []).map(({ reason }) => reason));
    }
  }
  expect(reasons.length).toBeGreaterThan(30);
  for (const reason of reasons) expect(reason).toMatch(/^\S+( \S+){4,}\.$/);
});
