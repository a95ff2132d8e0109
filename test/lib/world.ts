/** Stacks to put constructs in, and their templates. Functions are not bundled: that is another test's matter. */
import { readFileSync } from 'node:fs';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import type { Construct } from 'constructs';

// aws-cdk-lib calls deprecated parts of itself.
process.env.JSII_DEPRECATED = 'quiet';

export const ACCOUNT = '111122223333';
export const PRIMARY = 'eu-central-1';
export const SECONDARY = 'eu-west-1';

export const newApp = (): App => new App({ context: { 'aws:cdk:bundling-stacks': [] }, analyticsReporting: false });

/** The template of a stack that holds what `build` makes. */
export function templateOf(build: (scope: Construct) => void, region = PRIMARY): Template {
  const stack = new Stack(newApp(), 'Test', { env: { account: ACCOUNT, region } });
  build(stack);
  return Template.fromStack(stack);
}

/** The settings that stand in cdk.json. */
export const exampleContext = (): Record<string, unknown> =>
  (JSON.parse(readFileSync('cdk.json', 'utf8')) as { context: Record<string, unknown> }).context;
