/** The construct in an app of one's own, as docs/deploy.md shows it, and what it refuses. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { Template } from 'aws-cdk-lib/assertions';
import { TenantBackup, type TenantBackupProps } from '../../lib/constructs/tenantBackup.ts';
import { Vault } from '../../lib/constructs/vault.ts';
import { Protection } from '../../sample/protectedApp.ts';
import { keyArn, MAP, SECRET } from './examples.ts';
import { ACCOUNT, newApp, PRIMARY, templateOf } from './world.ts';

const database = { host: 'db.example', name: 'shop', secretArn: SECRET };

test('the example of the manual makes an installation under its own names, with or without knowing where', () => {
  const doc = readFileSync('docs/deploy.md', 'utf8');
  const code = readFileSync('sample/protectedApp.ts', 'utf8');
  expect(doc).toContain(code.slice(code.indexOf('export class')).trimEnd());
  for (const env of [{ account: ACCOUNT, region: PRIMARY }, {}]) {
    const template = Template.fromStack(new Protection(newApp(), 'Protection', { env, map: MAP, database }));
    template.hasResourceProperties('AWS::StepFunctions::StateMachine', { StateMachineName: 'shop-backup' });
    template.hasResourceProperties('AWS::Scheduler::Schedule', { GroupName: 'shop', Name: 'full' });
    template.hasResourceProperties('AWS::Scheduler::Schedule', { GroupName: 'shop', Name: 'stack.watch' });
    template.resourcePropertiesCountIs('AWS::S3::Bucket', { ObjectLockEnabled: true }, 1);
    template.resourceCountIs('AWS::SNS::Topic', 1);
    const variables = Object.values(template.findResources('AWS::Lambda::Function')).map(
      ({ Properties }) => Properties.Environment.Variables.POWERTOOLS_SERVICE_NAME,
    );
    expect(new Set(variables)).toEqual(new Set(['shop']));
  }
});

test.each<[string, Partial<TenantBackupProps>, string]>([
  ['a name that would not fit', { name: 'The Shop' }, 'name: expected 3 to 20 lower-case letters'],
  ['a map that is not there', { map: 'no-such.yaml' }, 'map: expected the path of a file; got "no-such.yaml"'],
  ['a host that is none', { database: { ...database, host: 'a b' } }, 'database.host: expected a host name'],
  ['keys of files where there are none', { filesKeyArns: [keyArn('1')] }, 'filesKeyArns: expected none'],
])('%s is refused at synthesis', (_, changes, message) => {
  const make = () =>
    templateOf((scope) => {
      new TenantBackup(scope, 'It', {
        name: 'shop',
        map: MAP,
        database,
        vault: new Vault(scope, 'Vault', { bucketName: 'shop-backups', lock: { mode: 'governance', days: 7 } }),
        keys: { wrapping: keyArn('mrk-1'), signing: keyArn('mrk-2') },
        personKeyTable: 'persons',
        ...changes,
      });
    });
  expect(make).toThrow(message);
});
