/** The command line with keys in KMS and person keys in DynamoDB, as on AWS. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createShop, INIT, type Shop } from '../cli/shop.ts';
import { createPersonKeyTable, type Dynamo, startDynamo } from '../support/aws/dynamo.ts';
import { FakeKms } from '../support/aws/fakeKms.ts';

let shop: Shop;
let kms: FakeKms;
let dynamo: Dynamo;
let [root, next, signing] = ['', '', ''];

async function configure(keys: string): Promise<void> {
  const path = join(shop.cwd, 'holdfast.yaml');
  const text = (await readFile(path, 'utf8')).replace(/\nkeys: [\s\S]*$/, '');
  await writeFile(path, `${text}\nkeys: ${keys}\nperson_keys: dynamodb://persons?region=eu-central-1\n`);
}

beforeAll(async () => {
  [kms, dynamo, shop] = await Promise.all([FakeKms.start(), startDynamo(), createShop()]);
  await createPersonKeyTable(dynamo, 'persons');
  process.env.AWS_ACCESS_KEY_ID = process.env.AWS_SECRET_ACCESS_KEY = 'test';
  process.env.AWS_ENDPOINT_URL_KMS = kms.config.endpoint;
  process.env.AWS_ENDPOINT_URL_DYNAMODB = String(dynamo.config.endpoint);
  const old = new Date(Date.now() - 200 * 86_400_000).toISOString();
  [root, next, signing] = [
    kms.createKey('encrypt', { multiRegion: true, createdAt: old }),
    kms.createKey('encrypt', { multiRegion: true }),
    kms.createKey('sign'),
  ];
  kms.rotateEvery(next, 90);
  expect((await shop.run(...INIT)).code).toBe(0);
  await configure(`{kms: "${root}", signing: ["${signing}"]}`);
  expect((await shop.run('install')).code).toBe(0);
}, 60_000);
afterAll(async () => {
  delete process.env.AWS_ENDPOINT_URL_KMS;
  delete process.env.AWS_ENDPOINT_URL_DYNAMODB;
  await shop.database.drop();
  await dynamo.stop();
  await kms.stop();
});

test('a backup, the age of its keys, another root, and no byte of the backup is touched', async () => {
  const { json } = await shop.run('backup', '--no-prove', '--json');
  expect(json.error).toBeUndefined();
  const due = await shop.run('keys', 'status', '--json');
  expect(due.code).toBe(1);
  expect(due.json.keys).toMatchObject([
    { use: 'wrap', days: 200, due: true },
    { use: 'sign', due: false },
  ]);
  expect((await shop.run('keys', 'rotate', '--json')).json.error).toMatchObject({ code: 'HF_KEYS_IN_KMS' });

  await configure(`{kms: "${next}", former: ["${root}"], signing: ["${signing}"]}`);
  const rewrapped = await shop.run('keys', 'rewrap', '--json');
  expect(rewrapped.json).toMatchObject({ tenantKeys: { rewrapped: 4, total: 4 }, personSecrets: 3 });
  kms.setState(root, 'PendingDeletion');
  await configure(`{kms: "${next}", signing: ["${signing}"]}`);
  const status = await shop.run('keys', 'status');
  expect(status.code).toBe(0);
  expect(status.stdout).toContain('rotates by itself every 90 days');
  expect(status.stdout).toContain('4 tenant keys wrapped by the current root, 0 by an older one only');
  const sound = await shop.run('validate', '-p', json.backup ?? json.id, '--deep');
  expect(sound.stdout).toContain('Sound');
}, 60_000);
