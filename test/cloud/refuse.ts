/** What must not work, and does not. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DisableKeyCommand, EnableKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { DeleteObjectCommand, ListObjectVersionsCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { contextIn } from './context.ts';
import { ended, start } from './executions.ts';
import { iam } from './iam.ts';
import { newCertificate } from './tls.ts';
import { type CloudWorld, PRIMARY } from './world.ts';

export async function disabledKeyStops(world: CloudWorld): Promise<void> {
  const kms = new KMSClient({ region: PRIMARY });
  const KeyId = world.keys.wrappingKeyArn!;
  await kms.send(new DisableKeyCommand({ KeyId }));
  const { cause } = await ended(await start('backup', { type: 'incremental' }), 'FAILED');
  assert.match(cause ?? '', /HF_KEY_DISABLED|KEY_DISABLED/);
  await kms.send(new EnableKeyCommand({ KeyId }));
  const { answer } = await ended(await start('backup', { type: 'incremental' }));
  assert.equal(answer.type, 'incremental');
}

/** The certificate is of another authority than the one that was deployed: no function speaks to that server. */
export async function strangerIsRefused(world: CloudWorld): Promise<void> {
  await newCertificate(world.bin, world.server, join(world.directory, 'other-certificates'));
  const { error, cause } = await ended(await start('backup', { type: 'incremental' }), 'FAILED');
  assert.match(`${error} ${cause}`, /HF_DATABASE_UNREACHABLE|certificate/);
}

export async function objectsStay(world: CloudWorld): Promise<void> {
  const s3 = new S3Client({ region: PRIMARY, forcePathStyle: true });
  const Bucket = world.primary.vaultName;
  const { store } = contextIn(world, PRIMARY);
  let Key = '';
  for await (const { name } of store.list('')) Key = name;
  await assert.rejects(
    s3.send(new PutObjectCommand({ Bucket, Key, Body: 'other', IfNoneMatch: '*' })),
    /PreconditionFailed|At least one of the pre-conditions/,
  );
  const { Versions = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket, Prefix: Key }));
  const { VersionId } = Versions[0]!;
  await assert.rejects(
    s3.send(new DeleteObjectCommand({ Bucket, Key, VersionId: VersionId! })),
    /AccessDenied|Access Denied/,
  );
  assert.ok(await store.head(Key));
}

/** What each role may do to objects of the vault, as its deployed policies say. */
export async function rightsAreFew(world: CloudWorld): Promise<void> {
  const object = `arn:aws:s3:::${world.primary.vaultName}/some-object`;
  const expected = {
    'backup-copy': { 's3:PutObject': true, 's3:GetObject': true, 's3:DeleteObject': false },
    'backup-verify': { 's3:PutObject': false, 's3:GetObject': true, 's3:DeleteObject': false },
    'cleanup-expire': { 's3:PutObject': false, 's3:GetObject': true, 's3:DeleteObject': true },
    record: { 's3:PutObject': false, 's3:GetObject': false, 's3:DeleteObject': false },
  };
  const never = [
    's3:DeleteObjectVersion',
    's3:BypassGovernanceRetention',
    's3:PutObjectRetention',
    's3:PutBucketPolicy',
  ];
  const roles = await iam.roles(world);
  for (const [handler, rights] of Object.entries(expected)) {
    const role = roles.find((arn) => arn.includes(`Fleet${handler.replaceAll('-', '')}Role`));
    assert.ok(role, `no role of ${handler} among ${roles.join(', ')}`);
    const all = { ...rights, ...Object.fromEntries(never.map((action) => [action, false])) };
    for (const [action, allowed] of Object.entries(all)) {
      assert.equal(await iam.allows(world, role, action, object), allowed, `${handler}: ${action}`);
    }
  }
}
