import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { KmsKeys } from '../../adapters/aws/kmsKeys.ts';
import { FakeKms } from '../support/aws/fakeKms.ts';

let kms: FakeKms;
let rootKey: string;
let signingKey: string;
const open = () => new KmsKeys({ rootKey, signingKeys: [signingKey], config: kms.config });
const context = { purpose: 'tenant-key', store: 'a', tenant: 'acme', id: '00001' };

beforeAll(async () => {
  kms = await FakeKms.start();
  rootKey = kms.createKey('encrypt', { multiRegion: true });
  signingKey = kms.createKey('sign');
});
afterAll(() => kms.stop());

test('what it wraps, it unwraps, under the same context only', async () => {
  const keys = open();
  const { plaintext, wrapped } = await keys.generate(context);
  expect(plaintext).toHaveLength(32);
  expect((await keys.unwrap(wrapped, context)).equals(plaintext)).toBe(true);
  const secret = randomBytes(60);
  expect((await keys.unwrap(await keys.wrap(secret, context), context)).equals(secret)).toBe(true);
  await expect(keys.unwrap(wrapped, { ...context, tenant: 'other' })).rejects.toMatchObject({ code: 'HF_KEY_WRONG' });
  wrapped[wrapped.length - 1]! ^= 1;
  await expect(keys.unwrap(wrapped, context)).rejects.toMatchObject({ code: 'HF_KEY_WRONG' });
});

test('a key of another root is refused, although this role may use that one too', async () => {
  const other = new KmsKeys({ rootKey: kms.createKey('encrypt'), signingKeys: [signingKey], config: kms.config });
  const { wrapped } = await other.generate(context);
  await expect(open().unwrap(wrapped, context)).rejects.toMatchObject({ code: 'HF_KEY_WRONG' });
});

test('after a rotation, what was wrapped before still unwraps', async () => {
  const { plaintext, wrapped } = await open().generate(context);
  kms.rotate(rootKey);
  expect((await open().unwrap(wrapped, context)).equals(plaintext)).toBe(true);
});

test('a key that is disabled, deleted or not there', async () => {
  const keys = open();
  const { wrapped } = await keys.generate(context);
  for (const state of ['Disabled', 'PendingDeletion'] as const) {
    kms.setState(rootKey, state);
    await expect(keys.unwrap(wrapped, context)).rejects.toMatchObject({ code: 'HF_KEY_DISABLED' });
  }
  kms.setState(rootKey, 'Enabled');
  const nowhere = rootKey.replace(/.$/, 'x');
  const lost = new KmsKeys({ rootKey: nowhere, signingKeys: [signingKey], config: kms.config });
  await expect(lost.generate(context)).rejects.toMatchObject({ code: 'HF_KEY_MISSING' });
  const dark = new KmsKeys({
    rootKey,
    signingKeys: [signingKey],
    config: { ...kms.config, endpoint: 'http://127.0.0.1:1' },
  });
  await expect(dark.generate(context)).rejects.toMatchObject({ code: 'HF_KEY_UNAVAILABLE' });
});

test('signs anything of any length; whoever has the public key can check it without KMS', async () => {
  const keys = open();
  const message = randomBytes(100_000);
  const signature = await keys.sign(message);
  const before = kms.calls.length;
  expect(await keys.verify(message, signature)).toBe(true);
  expect(await keys.verify(message, signature)).toBe(true);
  expect(kms.calls.slice(before)).toEqual(['GetPublicKey']);
  message[5]! ^= 1;
  expect(await keys.verify(message, signature)).toBe(false);
  message[5]! ^= 1;
  const [published] = await keys.publicKeys();
  const offline = createPublicKey({ key: Buffer.from(published!.spki, 'base64'), format: 'der', type: 'spki' });
  expect(verify('sha256', message, offline, Buffer.from(signature.value, 'base64'))).toBe(true);
  expect(await keys.verify(message, { ...signature, keyId: 'kms:eu-central-1:111122223333:other' })).toBe(false);
});

test('after the signing key was changed, the old one still verifies', async () => {
  const signature = await open().sign(Buffer.from('x'));
  const changed = new KmsKeys({ rootKey, signingKeys: [kms.createKey('sign'), signingKey], config: kms.config });
  expect(await changed.verify(Buffer.from('x'), signature)).toBe(true);
  expect((await changed.sign(Buffer.from('x'))).keyId).not.toBe(signature.keyId);
});

test('a multi-region key has one name in all regions; an alias has none', () => {
  const at = (key: string) => new KmsKeys({ rootKey: key, signingKeys: [signingKey] }).rootKeyId;
  const arn = 'arn:aws:kms:eu-central-1:111122223333:key/mrk-0123';
  expect(at(arn)).toBe(at(arn.replace('eu-central-1', 'eu-west-1')));
  expect(at(arn.replace('mrk-', ''))).not.toBe(at(arn.replace('mrk-', '').replace('central', 'west')));
  expect(() => at('alias/holdfast')).toThrow(expect.objectContaining({ code: 'HF_KMS_KEY_ARN' }));
});
