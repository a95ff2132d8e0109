/** Stacks to put constructs in, and their templates. Functions are not bundled: that is another test's matter. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import type { Construct } from 'constructs';
import { temporaryDirectory } from '../support/temporary.ts';

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

/** The same as `exampleContext`, with users' files in the map: two places of one bucket, and another one. */
export async function filesContext(): Promise<Record<string, unknown>> {
  const map = join(await temporaryDirectory(), 'holdfast.yaml');
  writeFileSync(map, readFileSync('sample/holdfast.yaml', 'utf8') + FILES);
  return { ...exampleContext(), 'holdfast:map': map, 'holdfast:filesKeyArns': FILES_KEY };
}
/** A section of holdfast.yaml. */
export const FILES = `files:
  voice: {from: s3://my-uploads/voice, table: public.voice_notes, column: storage_key}
  other: {from: s3://my-uploads/other/, table: public.voice_notes, column: storage_key}
  all: {from: s3://my-pictures?region=eu-central-1, table: public.voice_notes, column: storage_key}
`;
export const FILES_KEY = `arn:aws:kms:${PRIMARY}:${ACCOUNT}:key/files`;

/** The settings that stand in cdk.json. */
export const exampleContext = (): Record<string, unknown> =>
  (JSON.parse(readFileSync('cdk.json', 'utf8')) as { context: Record<string, unknown> }).context;
