/** What the app is told, which stacks that gives, and what it says of values that cannot be. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { type App, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { Alarm } from 'aws-cdk-lib/aws-cloudwatch';
import { parseMap } from '../../core/datamap/parse.ts';
import { parseSettings } from '../../core/datamap/settings.ts';
import { WORKFLOWS } from '../../functions/catalogue.ts';
import { cloudSettings } from '../../lib/cloudSettings.ts';
import { fileBuckets } from '../../lib/constructs/fileBuckets.ts';
import { Handler } from '../../lib/constructs/handler.ts';
import { longestGaps } from '../../lib/constructs/longestGaps.ts';
import { scheduledRuns } from '../../lib/constructs/scheduledRuns.ts';
import type { Workflow } from '../../lib/constructs/workflow.ts';
import { addStacks } from '../../lib/holdfastApp.ts';
import { vaultTerms } from '../../lib/vaultTerms.ts';
import { sampleMap } from '../../sample/map.ts';
import { exampleContext, filesContext, newApp, SECONDARY } from './world.ts';

function app(changes: Record<string, string>): App {
  const made = newApp();
  const given = Object.fromEntries(Object.entries(changes).map(([name, value]) => [`holdfast:${name}`, value]));
  addStacks(made, cloudSettings({ ...exampleContext(), ...given }));
  return made;
}
const names = (made: App): string[] =>
  made.node.children.filter((child) => child instanceof Stack).map(({ stackName }) => stackName);

test('a stack that needs what an earlier one prints comes when it is told, and a note says what is missing', () => {
  const first = app({
    wrappingKeyArn: '',
    signingKeyArn: '',
    secondaryVaultKeyArn: '',
    vaultKeyArn: '',
    exampleDatabase: 'no',
  });
  expect(names(first)).toEqual(['holdfast-keys']);
  const second = app({ secondaryVaultKeyArn: '', airGappedAccount: '', exampleDatabase: 'no' });
  expect(names(second)).toEqual(['holdfast-keys', 'holdfast-secondary']);
  expect(names(app({ secondaryRegion: '', airGappedAccount: '', exampleDatabase: 'no', name: 'other' }))).toEqual([
    'other-keys',
    'other-primary',
  ]);
  const notes = first.node.metadata.map(({ data }) => String(data)).join('\n');
  expect(notes).toContain('holdfast-secondary comes when holdfast:wrappingKeyArn, holdfast:signingKeyArn are set');
  expect(notes).toContain('holdfast-primary comes when holdfast:secondaryVaultKeyArn are set');
});

test.each([
  ['a setting that there is not', { dataBase: 'x' }, /^holdfast:dataBase: expected one of name, account, /],
  ['an account that is none', { account: '12' }, /^account: expected an account id of twelve digits/],
  [
    'a key of another account',
    { wrappingKeyArn: 'arn:aws:kms:eu-central-1:999999999999:key/mrk-1' },
    /^holdfast:wrappingKeyArn: expected a key in eu-central-1 of account 111122223333; got /,
  ],
  [
    'a key of another region',
    { secondaryVaultKeyArn: 'arn:aws:kms:eu-central-1:111122223333:key/1' },
    /^holdfast:secondaryVaultKeyArn: expected a key in eu-west-1/,
  ],
  [
    'a key that is not multi-region',
    { signingKeyArn: 'arn:aws:kms:eu-central-1:111122223333:key/1' },
    /^holdfast:signingKeyArn: expected text like/,
  ],
  [
    'both kinds of database',
    { databaseInstance: 'app' },
    /^holdfast:databaseInstance: expected it or holdfast:databaseCluster, not both/,
  ],
  ['a secret that is none', { databaseSecretArn: 'app' }, /^database.secretArn: expected the ARN of a secret/],
  [
    'a host that is none',
    { databaseHost: 'postgres://app' },
    /^database.host: expected a host name; got "postgres:\/\/app"/,
  ],
  ['fewer subnets than zones', { subnetIds: 'subnet-1' }, /^subnetIds: expected as many subnets as availabilityZones/],
  ['no group', { securityGroupIds: '' }, /^securityGroupIds: expected a group that the database lets in/],
  ['an address that is none', { emails: 'ann' }, /^emails: expected addresses such as a@b.example; got "ann"/],
  ['a lock longer than retention', { lockDays: '4000' }, /^lockDays: expected at most the 372 days/],
  ['its own account as the air-gapped one', { airGappedAccount: '111122223333' }, /^account: expected another account/],
  ['a file that is not there', { databaseCa: 'no-such.pem' }, /^databaseCa: expected the path of a file/],
])('%s is refused at synthesis', (_, changes, message) => {
  expect(() => app(changes)).toThrow(message);
});

test("users' files bring their workflow, schedule and alarms; what functions cannot reach is refused", async () => {
  const made = newApp();
  addStacks(made, cloudSettings(await filesContext()));
  const template = Template.fromStack(made.node.findChild('holdfast-primary') as Stack);
  template.hasResourceProperties('AWS::StepFunctions::StateMachine', { StateMachineName: 'holdfast-files' });
  template.hasResourceProperties('AWS::Scheduler::Schedule', {
    Name: 'files',
    ScheduleExpression: 'cron(30 2 * * ? *)',
  });
  // Once a day, and two hours for the run itself.
  template.hasResourceProperties(
    'AWS::CloudWatch::Alarm',
    Match.objectLike({ AlarmDescription: Match.stringLikeRegexp('files') }),
  );
  const without = Template.fromStack(app({}).node.findChild('holdfast-primary') as Stack);
  expect(JSON.stringify(without.toJSON())).not.toContain('holdfast-files');
  const at = (from: string) =>
    fileBuckets({ files: [{ name: 'voice', from, table: 'public.a', column: 'b', strip: '' }] });
  expect(at('s3://b-1/a%20b')).toEqual({ places: [{ bucket: 'b-1', prefix: 'a b/' }] });
  for (const from of ['./uploads', 's3://b-1?endpoint=https://objects.example.com', 's3://b-1?profile=me', 's3://B']) {
    expect(() => at(from)).toThrow(/^files\.voice\.from: expected a bucket that functions reach/);
  }
  expect(() => app({ filesKeyArns: 'arn:aws:kms:eu-central-1:111122223333:key/1' })).toThrow(
    /^filesKeyArns: expected none/,
  );
});

test('the example map is that of the sample, and the stacks take it as it is', () => {
  const text = readFileSync('sample/holdfast.yaml', 'utf8');
  expect(parseMap(text)).toEqual(sampleMap());
  expect(Annotations.fromStack(app({}).node.findChild('holdfast-primary') as Stack).findWarning('*', '*')).toEqual([]);
});

test('terms of a bucket follow from retention', () => {
  const keep = (daily: number, weekly: number, monthly: number) => ({ daily, weekly, monthly, trail: 'P90D' });
  expect(vaultTerms(keep(7, 4, 12), 'governance')).toEqual({
    lock: { mode: 'governance', days: 7 },
    removedVersionDays: 7,
    infrequentAfterDays: 28,
  });
  expect(vaultTerms(keep(30, 0, 0), 'compliance', 14)).toEqual({
    lock: { mode: 'compliance', days: 14 },
    removedVersionDays: 14,
  });
  expect(() => vaultTerms(keep(7, 0, 0), 'governance', 8)).toThrow('lockDays: expected at most the 7 days');
});

const workflows = Object.fromEntries(['backup', 'log-backup', 'cleanup'].map((name) => [name, { name } as Workflow]));

test('schedules of holdfast.yaml become runs; those of one tenant, or of no workflow here, do not', () => {
  const settings = parseSettings(`
version: 1
schedules:
  - {name: weekly, type: full, cron: "0 2 * * 0", time_zone: Europe/Paris}
  - {name: theirs, type: full, cron: "0 3 * * 0", tenant: "7"}
  - {name: config, type: config, cron: "0 1 * * *"}
`);
  expect(scheduledRuns(settings, workflows)).toEqual([
    {
      name: 'weekly',
      cron: '0 2 * * 0',
      timeZone: 'Europe/Paris',
      workflow: workflows.backup,
      input: { type: 'full' },
      flexible: 0,
    },
  ]);
  expect(scheduledRuns(parseSettings('version: 1\nschedules: []\n'), workflows)).toEqual([]);
});

test('how long a workflow may be quiet: the longest time between its runs, whichever schedule they are of', () => {
  const gaps = longestGaps(scheduledRuns(parseSettings('version: 1\n'), workflows));
  // Between 17:00 and 02:00 on weekdays, but 24 hours from Saturday to Sunday; and 2 for the run itself.
  expect(gaps).toEqual({ backup: 26, 'log-backup': 6 }); // cleanup: a week and 2 hours, more than an alarm can watch
  expect(longestGaps([])).toEqual({});
});

test('the other region is named in the primary stack only where copies go', () => {
  expect(() => app({ secondaryRegion: SECONDARY, primaryRegion: SECONDARY })).toThrow(
    'secondaryRegion: expected another',
  );
});

test('each kind of alarm is in the manual, with what to do', () => {
  const manual = readFileSync('docs/deploy.md', 'utf8');
  const stack = app({}).node.findChild('holdfast-primary') as Stack;
  const alarms = stack.node.findAll().filter((construct) => construct instanceof Alarm);
  const functions = stack.node.findAll().filter((construct) => construct instanceof Handler);
  const kinds = new Set(
    alarms.map(({ node: { id } }) => {
      const workflow = WORKFLOWS.find(({ name }) => id.startsWith(`${name}-`) && !id.endsWith('-throttled'));
      const handler = functions.find(({ node }) => id === `${node.id}-throttled`);
      if (handler) return '<function>-throttled';
      return workflow ? id.replace(workflow.name, '<workflow>') : id;
    }),
  );
  expect(kinds.size).toBe(8);
  for (const kind of kinds) expect(manual).toContain(`| \`${kind}\` |`);
});
