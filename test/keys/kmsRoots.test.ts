/** A root key in KMS that is replaced by another: what the old one wrapped is wrapped anew, and no data is touched. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { KmsKeys } from '../../adapters/aws/kmsKeys.ts';
import { PersonKeyTable } from '../../adapters/aws/personKeyTable.ts';
import { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { rewrapTenantKeys } from '../../core/keys/tenantKeys.ts';
import { silentProgress } from '../../core/ports.ts';
import { Keyring } from '../../core/snapshot/keyring.ts';
import { openStore } from '../../core/snapshot/store.ts';
import { listing } from '../cli/run.ts';
import { createPersonKeyTable, type Dynamo, startDynamo } from '../support/aws/dynamo.ts';
import { FakeKms } from '../support/aws/fakeKms.ts';
import { temporaryDirectory } from '../support/temporary.ts';

let dynamo: Dynamo;
let kms: FakeKms;
let signingKey: string;
let former: string;
let root: string;
const TABLE = 'person-keys';
beforeAll(async () => {
  [dynamo, kms] = await Promise.all([startDynamo(), FakeKms.start()]);
  [former, root] = [kms.createKey('encrypt', { multiRegion: true }), kms.createKey('encrypt', { multiRegion: true })];
  signingKey = kms.createKey('sign');
  await createPersonKeyTable(dynamo, TABLE);
});
afterAll(async () => {
  await dynamo.stop();
  await kms.stop();
});

const open = (rootKey: string, formerRootKeys: string[] = []) =>
  new KmsKeys({ rootKey, formerRootKeys, signingKeys: [signingKey], config: kms.config });
const table = (keys: KmsKeys) => new PersonKeyTable({ table: TABLE, keys, config: dynamo.config });

test('the old root unwraps what it wrapped while it is named; after a re-wrap it is not needed', async () => {
  const directory = await temporaryDirectory();
  const store = DirectoryStore.open(directory);
  const before = open(former);
  const { id } = await openStore({ store, keys: before }, { create: true });
  const key = await new Keyring(store, before, id).tenantKey('acme');
  const persons = await table(before).obtain('acme', ['ann', 'bob']);
  const objects = await listing(directory);

  const alone = open(root);
  await expect(new Keyring(store, alone, id).tenantKey('acme')).rejects.toMatchObject({ code: 'HF_KEY_WRONG' });
  await expect(table(alone).obtain('acme', ['ann'])).rejects.toMatchObject({ code: 'HF_KEY_WRONG' });
  const both = open(root, [former]);
  expect(await new Keyring(store, both, id).tenantKey('acme')).toEqual(key);
  expect(await table(both).obtain('acme', ['ann', 'bob'])).toEqual(persons);

  expect(await rewrapTenantKeys({ store, keys: both, progress: silentProgress })).toEqual({ rewrapped: 1, total: 1 });
  expect(await Promise.all([table(both).rewrap(), table(both).rewrap()])).toEqual(expect.arrayContaining([1]));
  expect(await table(both).rewrap()).toBe(0);
  kms.setState(former, 'PendingDeletion');
  expect(await new Keyring(store, alone, id).tenantKey('acme')).toEqual(key);
  expect(await table(alone).obtain('acme', ['ann', 'bob'])).toEqual(persons);
  expect(await listing(directory)).toMatchObject(objects);
});

test('a tenant key says which root wrapped it: one call opens it', async () => {
  kms.setState(former, 'Enabled');
  const context = { purpose: 'tenant-key', tenant: 'x', rootKey: open(former).rootKeyId };
  const { wrapped, plaintext } = await open(former).generate(context);
  const from = kms.calls.length;
  expect((await open(root, [former]).unwrap(wrapped, context)).equals(plaintext)).toBe(true);
  expect(kms.calls.slice(from)).toEqual(['Decrypt']);
});
