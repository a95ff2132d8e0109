import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { KmsKeys } from '../../adapters/aws/kmsKeys.ts';
import { KeyFile } from '../../adapters/local/keyFile.ts';
import { systemClock } from '../../adapters/local/systemClock.ts';
import { keyStates } from '../../core/keys/ages.ts';
import { momentFromDate } from '../../core/moment.ts';
import type { KeyService } from '../../core/ports.ts';
import { FakeKms } from '../support/aws/fakeKms.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const DAY = 86_400_000;
const daysAgo = (days: number) => new Date(Date.now() - days * DAY - 60_000).toISOString();

/** Keys that are due, so many days from now. */
const due = async (keys: KeyService, inDays = 0) =>
  (await keyStates(keys, momentFromDate(new Date(Date.now() + inDays * DAY)))).filter((state) => state.due);

async function keyFileOf(root: number, signing: number): Promise<{ keys: KeyFile; path: string }> {
  const path = join(await temporaryDirectory(), 'key.json');
  await KeyFile.create(path);
  const file = JSON.parse(await readFile(path, 'utf8'));
  file.roots[0].createdAt = daysAgo(root);
  file.signing[0].createdAt = daysAgo(signing);
  await writeFile(path, JSON.stringify(file));
  return { keys: await KeyFile.open(path), path };
}

test('a key file: nothing for 89 days, then each key is due; a rotation ends it', async () => {
  const { keys } = await keyFileOf(0, 0);
  expect(await due(keys, 89)).toEqual([]);
  const action = expect.stringContaining('holdfast keys rotate');
  expect(await due(keys, 91)).toMatchObject([
    { keyId: keys.rootKeyId, use: 'wrap', days: 91, daysLeft: 0, action },
    { keyId: expect.stringContaining('#sign-1'), use: 'sign', days: 91, daysLeft: 0, action },
  ]);

  const old = await keyFileOf(200, 10);
  expect((await due(old.keys)).map(({ use }) => use)).toEqual(['wrap']);
  expect(await due(await KeyFile.rotate(old.path))).toEqual([]);
});

test('a state says how many days are left', async () => {
  const { keys } = await keyFileOf(30, 30);
  expect(await keyStates(keys, systemClock.now())).toMatchObject([
    { use: 'wrap', days: 30, daysLeft: 60, due: false },
    { use: 'sign', days: 30, daysLeft: 60, due: false },
  ]);
});

let kms: FakeKms;
beforeAll(async () => {
  kms = await FakeKms.start();
});
afterAll(() => kms.stop());

const kmsKeys = (rootAge: number, signAge = 1) => {
  const rootKey = kms.createKey('encrypt', { multiRegion: true, createdAt: daysAgo(rootAge) });
  const signingKey = kms.createKey('sign', { createdAt: daysAgo(signAge) });
  return { rootKey, keys: new KmsKeys({ rootKey, signingKeys: [signingKey], config: kms.config }) };
};

test('KMS: a root that rotates by itself troubles nobody, unless it does not, or not often enough', async () => {
  const { keys, rootKey } = kmsKeys(300);
  expect((await due(keys))[0]!.action).toContain('Turn automatic rotation on');
  kms.rotateEvery(rootKey, 365);
  expect((await due(keys))[0]!.action).toContain('It rotates every 365 days');
  kms.rotateEvery(rootKey, 90);
  expect(await due(keys)).toHaveLength(1);
  kms.rotate(rootKey, daysAgo(120));
  kms.rotate(rootKey, daysAgo(92));
  expect(await due(keys)).toEqual([]); // within the grace of a service that does it itself
  expect(await due(keys, 7)).toHaveLength(1);
  kms.rotate(rootKey, daysAgo(1));
  expect(await due(keys, 7)).toEqual([]);
});

test('KMS does not rotate signing keys: it is said how it is done', async () => {
  const { keys } = kmsKeys(1, 91);
  const [only, ...others] = await due(keys);
  expect(others).toEqual([]);
  expect(only).toMatchObject({ use: 'sign', action: expect.stringContaining('new signing key in KMS') });
});
