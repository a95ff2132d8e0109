import { DynamoDBClient, PutItemCommand, ScanCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { KmsKeys } from '../../adapters/aws/kmsKeys.ts';
import { PersonKeyTable } from '../../adapters/aws/personKeyTable.ts';
import { createPersonKeyTable, type Dynamo, startDynamo } from '../support/aws/dynamo.ts';
import { FakeKms } from '../support/aws/fakeKms.ts';

let dynamo: Dynamo;
let kms: FakeKms;
let keys: KmsKeys;
const TABLE = 'holdfast-person-keys';
const open = (props: Partial<ConstructorParameters<typeof PersonKeyTable>[0]> = {}) =>
  new PersonKeyTable({ table: TABLE, keys, config: dynamo.config, ...props });

beforeAll(async () => {
  dynamo = await startDynamo();
  kms = await FakeKms.start();
  keys = new KmsKeys({
    rootKey: kms.createKey('encrypt'),
    signingKeys: [kms.createKey('sign')],
    config: kms.config,
  });
  await createPersonKeyTable(dynamo, TABLE);
});
afterAll(async () => {
  await dynamo.stop();
  await kms.stop();
});

async function items(): Promise<string> {
  const client = new DynamoDBClient(dynamo.config);
  const { Items } = await client.send(new ScanCommand({ TableName: TABLE }));
  client.destroy();
  return JSON.stringify(Items, (_, v) => (v instanceof Uint8Array ? Buffer.from(v).toString('hex') : v));
}

test('a key per person and tenant, the same for everyone who asks; one call to KMS per tenant', async () => {
  const persons = Array.from({ length: 350 }, (_, i) => `user-${i}`);
  const before = kms.calls.length;
  const made = await open().obtain('acme', [...persons, 'user-7']);
  const read = await open().obtain('acme', persons);
  expect(made.size).toBe(350);
  expect([...read]).toEqual([...made].slice(0, 350));
  const { ref, key } = made.get('user-7')!;
  expect(ref).toMatch(/^[0-9a-f]{32}$/);
  expect((await open().lookup('acme', [ref, '0'.repeat(32)])).get(ref)!.key.equals(key)).toBe(true);
  expect((await open().obtain('other', ['user-7'])).get('user-7')).not.toEqual(made.get('user-7'));
  expect(kms.calls.slice(before).filter((call) => call === 'GenerateDataKey')).toHaveLength(2);
  const stored = await items();
  expect(stored).not.toContain('user-7');
  expect(stored).not.toContain(key.toString('hex'));
});

test('processes that ask at once agree on every key', async () => {
  const persons = Array.from({ length: 40 }, (_, i) => `p-${i}`);
  const [first, ...others] = await Promise.all([1, 2, 3, 4].map(() => open().obtain('busy', persons)));
  for (const other of others)
    expect([...other].map(([p, k]) => [p, k.key])).toEqual([...first!].map(([p, k]) => [p, k.key]));
});

test('an erased person is fenced: no key, for nobody, ever again', async () => {
  const writer = open();
  const made = await writer.obtain('gone', ['a', 'b']);
  const ref = await writer.erase('gone', 'a');
  expect(ref).toBe(made.get('a')!.ref);
  for (const persons of [writer, open()]) {
    expect([...(await persons.obtain('gone', ['a', 'b'])).keys()]).toEqual(['b']);
    expect(await persons.lookup('gone', [ref])).toEqual(new Map());
    expect(await persons.state('gone', ref)).toBe('erased');
  }
  expect(await writer.erase('gone', 'a')).toBe(ref);
  const before = await open().erase('gone', 'never seen');
  expect(await open().obtain('gone', ['never seen'])).toEqual(new Map());
  expect([await open().state('gone', before), await open().state('gone', 'f'.repeat(32))]).toEqual([
    'erased',
    'unknown',
  ]);
});

test('a key made while the fence is being put up loses', async () => {
  for (let i = 0; i < 20; i++) {
    const person = `race-${i}`;
    await Promise.all([open().obtain('race', [person]), open().erase('race', person)]);
    expect(await open().obtain('race', [person])).toEqual(new Map());
  }
});

test('a key that was put in from elsewhere, a table that is not there', async () => {
  const [mine, theirs] = await Promise.all([open().obtain('mine', ['a']), open().obtain('theirs', ['a'])]);
  const client = new DynamoDBClient(dynamo.config);
  const { Items } = await client.send(new ScanCommand({ TableName: TABLE }));
  const foreign = Items!.find((item) => item.item!.S === `p#${theirs.get('a')!.ref}`)!;
  const forged = { ...foreign, tenant: { S: 'mine' }, item: { S: `p#${mine.get('a')!.ref}` } };
  await client.send(new PutItemCommand({ TableName: TABLE, Item: forged }));
  client.destroy();
  await expect(open().obtain('mine', ['a'])).rejects.toMatchObject({ code: 'HF_KEY_WRONG' });
  await expect(open({ table: 'nowhere' }).obtain('mine', ['a'])).rejects.toMatchObject({ code: 'HF_KEY_UNAVAILABLE' });
});
