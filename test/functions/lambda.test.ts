/** The bundles that are deployed, each in a process as Lambda makes one, against the protocols of the services. */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CreateTableCommand, DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { databaseUrl } from '../../adapters/aws/databaseSecret.ts';
import { KmsKeys } from '../../adapters/aws/kmsKeys.ts';
import { S3Store } from '../../adapters/aws/s3Store.ts';
import { formatMap } from '../../core/datamap/format.ts';
import { listManifests, readManifest } from '../../core/snapshot/manifest.ts';
import { type HandlerEntry, WORKFLOWS } from '../../functions/catalogue.ts';
import { spareModules, variablesOf } from '../../functions/parts.ts';
import { prepareBundles, writeBundle } from '../../lib/bundle.ts';
import { makeWorld, type World } from '../snapshot/world.ts';
import { createPersonKeyTable, type Dynamo, startDynamo } from '../support/aws/dynamo.ts';
import { FakeKms } from '../support/aws/fakeKms.ts';
import { FakeSecrets } from '../support/aws/fakeSecrets.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const KIB = 1024;

let world: World;
let kms: FakeKms;
let dynamo: Dynamo;
let secrets: FakeSecrets;
let s3: FauxqsServer;
let folder: string;
let env: Record<string, string>;
let keys: KmsKeys;
let child: ChildProcess;

beforeAll(async () => {
  folder = await temporaryDirectory();
  world = await makeWorld({ directory: folder });
  [kms, dynamo] = await Promise.all([FakeKms.start(), startDynamo()]);
  s3 = await startFauxqs({ port: 0, logger: false, init: { buckets: ['vault'] } });
  const { username, password, hostname, port, pathname } = new URL(world.database.url);
  const secret = (word: string) => JSON.stringify({ username: decodeURIComponent(username), password: word });
  // The first password is one that was rotated away since.
  secrets = await FakeSecrets.start(secret('it was another'), secret(decodeURIComponent(password)));
  await createPersonKeyTable(dynamo, 'persons');
  await createIdempotencyTable();
  await writeFile(join(folder, 'holdfast.yaml'), formatMap(world.ctx.map));
  const [rootKey, signing] = [kms.createKey('encrypt'), kms.createKey('sign')];
  keys = new KmsKeys({ rootKey, signingKeys: [signing], config: kms.config });
  env = {
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_ENDPOINT_URL_KMS: kms.config.endpoint,
    AWS_ENDPOINT_URL_DYNAMODB: dynamo.config.endpoint,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: secrets.endpoint,
    POWERTOOLS_SERVICE_NAME: 'holdfast',
    HOLDFAST_MAP: join(folder, 'holdfast.yaml'),
    HOLDFAST_STORE: `s3://vault/?endpoint=http://127.0.0.1:${s3.port}`,
    HOLDFAST_ROOT_KEY: rootKey,
    HOLDFAST_SIGNING_KEYS: signing,
    HOLDFAST_PERSON_KEYS: 'persons',
    HOLDFAST_IDEMPOTENCY: 'idempotency',
    HOLDFAST_DATABASE_SECRET: secrets.arn,
    HOLDFAST_DATABASE_HOST: hostname,
    HOLDFAST_DATABASE_PORT: port,
    HOLDFAST_DATABASE_NAME: pathname.slice(1),
    HOLDFAST_DATABASE_TLS: 'off',
  };
  child = fork(join(ROOT, 'test/functions/lambdaChild.ts'), {
    env: { ...env, PATH: process.env.PATH ?? '' },
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (piece) => lines.push(String(piece)));
});
afterAll(async () => {
  child.kill();
  await Promise.all([kms.stop(), dynamo.stop(), secrets.stop(), s3.stop(), world.database.drop()]);
});

/** What the functions logged. */
const lines: string[] = [];

async function createIdempotencyTable(): Promise<void> {
  const client = new DynamoDBClient(dynamo.config);
  await client.send(
    new CreateTableCommand({
      TableName: 'idempotency',
      BillingMode: 'PAY_PER_REQUEST',
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    }),
  );
  client.destroy();
}

interface Deployed {
  readonly module: string;
  readonly env: Readonly<Record<string, string>>;
}

/** One function as the stacks deploy it. */
async function deployed(entry: string, changes: Record<string, string> = {}, name = entry): Promise<Deployed> {
  const rights = handlers.get(entry)!;
  const place = join(folder, 'functions', name.replaceAll('/', '-').replace('.ts', ''));
  await mkdir(place, { recursive: true });
  sizes.set(entry, writeBundle(entry, place, spareModules(rights)));
  return { module: join(place, 'index.mjs'), env: variablesOf(rights, { ...env, ...changes }) };
}

const handlers = new Map<string, HandlerEntry>(
  WORKFLOWS.flatMap(({ handlers }) => Object.values(handlers).map((handler) => [handler.entry, handler] as const)),
);
const entries = [...handlers.keys()];
const sizes = new Map<string, number>();

type Outcome = { readonly answer?: Record<string, unknown>; readonly error?: { name: string; message: string } };

const call = ({ module, env }: Deployed, event: unknown): Promise<Outcome> =>
  new Promise((resolve) => {
    child.once('message', (outcome) => resolve(outcome as Outcome));
    child.send({ module, event, env });
  });

test('a backup made by the bundles, through a rotated password, is proven and reads back anywhere', async () => {
  const names = ['check', 'plan', 'copy', 'finish', 'verify', 'prove'];
  prepareBundles(entries);
  const modules = await Promise.all(names.map((name) => deployed(`functions/backup/${name}.ts`)));
  const [check, plan, copy, finish, verify, prove] = modules as [
    Deployed,
    Deployed,
    Deployed,
    Deployed,
    Deployed,
    Deployed,
  ];
  const execution = 'arn:aws:states:eu-central-1:111122223333:execution:backup:one';
  const start = await call(check, { execution, request: { chunkBytes: 400_000 } });
  expect(start.error).toBeUndefined();
  expect(secrets.asked).toBe(2);
  const { answer: run } = (await call(plan, start.answer)) as { answer: { backup: string; items: string[] } };
  for (const chunks of run.items) {
    const event = { execution, backup: run.backup, tenant: null, chunks };
    expect(await call(copy, event)).toEqual({ answer: { done: true } });
    // Delivered twice, it finds that nothing is left to do.
    expect(await call(copy, event)).toEqual({ answer: { done: true } });
  }
  const finished = await call(finish, { execution, run });
  expect(finished.error).toBeUndefined();
  // The same again is answered from what is remembered.
  expect(await call(finish, { execution, run })).toEqual(finished);
  expect(await remembered()).toBe(1);
  expect((await call(verify, { backup: run.backup, deep: true })).error).toBeUndefined();
  expect((await call(prove, { backup: run.backup })).answer).toMatchObject({ ok: true });

  const store = S3Store.open(env.HOLDFAST_STORE!, { credentials: dynamo.config.credentials });
  const refs = await listManifests(store);
  expect(refs.map(({ id }) => id)).toEqual([run.backup]);
  expect((await readManifest({ store, keys }, refs[0]!)).totals.rows).toBeGreaterThan(0);
  store.close();

  // A new root key and a new signing key: functions that are told of the former ones read what was written under them.
  const [rootKey, signing] = [kms.createKey('encrypt'), kms.createKey('sign')];
  const moved = { HOLDFAST_ROOT_KEY: rootKey, HOLDFAST_SIGNING_KEYS: `${signing},${env.HOLDFAST_SIGNING_KEYS}` };
  const former = { HOLDFAST_FORMER_ROOT_KEYS: env.HOLDFAST_ROOT_KEY! };
  const reads = (name: string, changes: Record<string, string>) =>
    deployed('functions/backup/verify.ts', changes, name).then((at) => call(at, { backup: run.backup, deep: true }));
  expect((await reads('told', { ...moved, ...former })).error).toBeUndefined();
  const untold = await reads('not-told-of-the-root', moved);
  expect(untold.error).toMatchObject({ name: 'HF_BACKUP_UNSOUND' });
  expect(untold.error!.message).toContain('is not the key, or this not the context');
  const stranger = await reads('not-told-of-the-signer', { ...moved, ...former, HOLDFAST_SIGNING_KEYS: signing });
  expect(stranger.error).toMatchObject({ name: 'HF_KEY_WRONG' });
}, 180_000); // bundling is work for every core, and so are other test files

async function remembered(): Promise<number> {
  const client = new DynamoDBClient(dynamo.config);
  const { Count } = await client.send(new ScanCommand({ TableName: 'idempotency' }));
  client.destroy();
  return Count!;
}

test('errors keep their code as a name, and passwords, tenants and persons stay out of the logs', async () => {
  const copy = await deployed('functions/backup/copy.ts');
  const { error } = await call(copy, { execution: 'x', backup: 'none', tenant: null, chunks: '1-2' });
  expect(error!.name).toBe('HF_TASK_INPUT');
  expect(JSON.parse(error!.message)).toMatchObject({ code: 'HF_TASK_INPUT', action: expect.any(String) });
  const logged = lines.join('');
  expect(logged).toContain('HF_TASK_INPUT');
  expect(logged).toContain('Holdfast'); // metrics
  const { rows } = await world.client.query(
    'select email from public.users union all select id::text from public.organizations',
  );
  for (const { email } of rows) expect(logged).not.toContain(email);
  expect(logged).not.toContain(new URL(world.database.url).password);
});

test('what a task measures is a metric under the name of the installation', async () => {
  const watch = await deployed('functions/watch/watch.ts');
  const from = lines.length;
  expect((await call(watch, { execution: 'x', request: {} })).answer).toEqual({ owed: 0, noticed: 0, first: [] });
  expect(lines.slice(from).join('')).toMatch(/"service":"holdfast".*"Owed":0/);
});

test('TLS is asked for and verified, and cannot be switched off for another machine', async () => {
  const secret = (over: Record<string, string | undefined>) =>
    databaseUrl({
      secret: secrets.arn,
      env: { ...env, ...over },
      config: { endpoint: secrets.endpoint, region: 'eu-central-1', credentials: dynamo.config.credentials },
    });
  const there = { HOLDFAST_DATABASE_HOST: 'db.example.com' };
  const url = new URL(
    await secret({ ...there, HOLDFAST_DATABASE_TLS: undefined, HOLDFAST_DATABASE_CA: '/opt/ca.pem' }),
  );
  expect(Object.fromEntries(url.searchParams)).toEqual({ sslmode: 'verify-full', sslrootcert: '/opt/ca.pem' });
  await expect(secret(there)).rejects.toMatchObject({ code: 'HF_DATABASE_TLS' });
  secrets.values = ['not JSON, but a password'];
  const refused = await secret({}).catch((error: Error) => error);
  expect(refused).toMatchObject({ code: 'HF_DATABASE_SECRET' });
  expect(JSON.stringify(refused)).not.toContain('password,');
  expect((refused as Error).message).not.toContain('but a password');
});

/** What the client of each service is known by, in a bundle. */
const CLIENTS: readonly [word: string, needed: (handler: HandlerEntry) => boolean][] = [
  ['GetSecretValue', ({ database }) => database],
  ['PutObject', ({ store }) => store !== 'none'],
  ['GenerateDataKey', ({ keys }) => keys !== 'none'],
  ['BatchGetItem', ({ persons }) => persons !== 'none'],
  ['expiresAfterSeconds', ({ once = false }) => once],
  ['CopyDBClusterSnapshot', ({ entry }) => entry.includes('/snapshot/')],
  ['PGlite', () => false],
];

test('bundles are small, and a function knows no service but those that its rights are about', async () => {
  for (const [entry, handler] of handlers) {
    const { module, env } = await deployed(entry);
    const names = (await readdir(dirname(module))).filter((name) => name.endsWith('.mjs'));
    const text = (await Promise.all(names.map((name) => readFile(join(module, '..', name), 'utf8')))).join('');
    const known = CLIENTS.filter(([word]) => text.includes(word)).map(([word]) => word);
    expect({ entry, known }).toEqual({
      entry,
      known: CLIENTS.filter(([, need]) => need(handler)).map(([word]) => word),
    });
    expect({ entry, small: sizes.get(entry)! < 1200 * KIB }).toEqual({ entry, small: true });
    expect('HOLDFAST_DATABASE_SECRET' in env).toBe(handler.database);
    expect('HOLDFAST_PERSON_KEYS' in env).toBe(handler.persons !== 'none');
  }
});
