/** What protects: a backup on schedule, its copy, its check, and restores from both. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  CreateTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  PutItemCommand,
  paginateScan,
} from '@aws-sdk/client-dynamodb';
import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { CreateScheduleCommand, GetScheduleCommand, SchedulerClient } from '@aws-sdk/client-scheduler';
import type pg from 'pg';
import { bind } from '../../core/datamap/bind.ts';
import type { ObjectStore } from '../../core/ports.ts';
import { restoreDatabase } from '../../core/restore/database.ts';
import { type Digests, tenantDigest } from '../../core/restore/digest.ts';
import { approveRequest } from '../../core/restore/requests/decide.ts';
import { withRequests } from '../../core/restore/requests/session.ts';
import { listRequests } from '../../core/restore/requests/store.ts';
import { connect } from '../../core/sql.ts';
import { sampleMap } from '../../sample/map.ts';
import { contextIn, PERSON_KEYS } from './context.ts';
import { ended, newExecution, start, until } from './executions.ts';
import { type CloudWorld, PRIMARY, SECONDARY } from './world.ts';

/**
 * The target of the deployed schedule of full backups, with its role and its input, at a moment that is near.
 * @returns the id of the backup
 */
export async function backupIsMade(world: CloudWorld): Promise<string> {
  const scheduler = new SchedulerClient({ region: PRIMARY });
  const schedule = await scheduler.send(new GetScheduleCommand({ GroupName: 'holdfast', Name: 'full' }));
  assert.equal(schedule.ScheduleExpression, 'cron(0 2 ? * SUN *)');
  const soon = new Date(Date.now() + 2000).toISOString().slice(0, 19);
  await scheduler.send(
    new CreateScheduleCommand({
      GroupName: 'holdfast',
      Name: 'full-now',
      ScheduleExpression: `at(${soon})`,
      FlexibleTimeWindow: { Mode: 'OFF' },
      Target: schedule.Target,
    }),
  );
  const { answer } = await ended(await newExecution('backup', 60));
  assert.equal(answer.type, 'full');
  assert.equal(answer.replication, 'complete');
  const s3 = new S3Client({ region: PRIMARY, forcePathStyle: true });
  for await (const { name } of contextIn(world, PRIMARY).store.list('')) {
    const head = await s3.send(new HeadObjectCommand({ Bucket: world.primary.vaultName, Key: name }));
    assert.equal(head.ServerSideEncryption, 'aws:kms', name);
  }
  return answer.backup as string;
}

export async function copyIsComplete(world: CloudWorld): Promise<void> {
  const here = await digestsOf(contextIn(world, PRIMARY).store);
  assert.ok(here.size > 3);
  await until(30, 'a copy of everything', async () => {
    const there = await digestsOf(contextIn(world, SECONDARY).store);
    return [...here].every(([name, digest]) => there.get(name) === digest) || undefined;
  });
}

export async function storeIsValid(_world: CloudWorld): Promise<void> {
  await ended(await start('integrity-check', {}));
}

/** One tenant is hurt while the others go on; afterwards it is as it was, and the others are as they went on. */
export async function restoreTenantByWorkflow(world: CloudWorld, backup: string): Promise<void> {
  const ctx = contextIn(world, PRIMARY);
  const client = await connect(world.databaseUrl);
  try {
    const [hurt, other] = await tenants(client);
    const before = await digest(client, hurt!);
    await client.query('delete from public.journal_entries where organization_id = $1', [hurt]);
    await client.query("update public.teams set name = name || ' (lost)' where organization_id = $1", [hurt]);
    await client.query("update public.teams set name = name || ' (kept)' where organization_id = $1", [other]);
    const changed = await digest(client, other!);
    assert.notDeepEqual(await digest(client, hurt!), before);
    const execution = await start('restore', {
      kind: 'tenant',
      request: { tenant: hurt, to: { backup } },
      by: 'ann',
      reason: 'rows were lost',
    });
    const id = await until(120, 'a restore request', async () =>
      withRequests(ctx, async (c) => (await listRequests(c, {})).find(({ state }) => state === 'requested')?.id),
    );
    await approveRequest(ctx, { id, by: 'ben', reason: 'seen' });
    await ended(execution);
    assert.deepEqual(await digest(client, hurt!), before);
    assert.deepEqual(await digest(client, other!), changed);
  } finally {
    await client.end();
  }
}

/** What a global table does by itself: the same table in the other region, with the same items. */
async function copyPersonKeys(): Promise<void> {
  const [from, to] = [PRIMARY, SECONDARY].map((region) => new DynamoDBClient({ region }));
  const { Table } = await from!.send(new DescribeTableCommand({ TableName: PERSON_KEYS }));
  const { KeySchema, AttributeDefinitions } = Table!;
  await to!
    .send(
      new CreateTableCommand({
        TableName: PERSON_KEYS,
        KeySchema,
        AttributeDefinitions,
        BillingMode: 'PAY_PER_REQUEST',
      }),
    )
    .catch((error: Error) => {
      if (error.name !== 'ResourceInUseException') throw error; // empty, but there
    });
  for await (const { Items = [] } of paginateScan({ client: from! }, { TableName: PERSON_KEYS })) {
    for (const Item of Items) await to!.send(new PutItemCommand({ TableName: PERSON_KEYS, Item }));
  }
}

/** As when the first region is dark: the bucket and the keys of the other one, and an empty database. */
export async function restoreFromCopy(world: CloudWorld, backup: string): Promise<void> {
  const admin = await connect(world.server.url());
  await admin.query('create database recovered owner app_owner');
  await admin.end();
  const targetUrl = world.databaseUrl.replace(/\/app$/, '/recovered');
  await copyPersonKeys();
  const { databaseUrl: _lost, ...ctx } = contextIn(world, SECONDARY);
  await restoreDatabase(ctx, { targetUrl, backup });
  const target = await connect(targetUrl);
  const source = await connect(world.databaseUrl);
  try {
    for (const tenant of (await tenants(source)).slice(2)) {
      assert.deepEqual(await digest(target, tenant), await digest(source, tenant)); // nobody touched these since
    }
  } finally {
    await Promise.all([target.end(), source.end()]);
  }
}

export async function digestsOf(store: ObjectStore): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  for await (const { name } of store.list('')) {
    digests.set(
      name,
      createHash('sha256')
        .update(await store.get(name))
        .digest('hex'),
    );
  }
  return digests;
}

async function digest(client: pg.Client, tenant: string): Promise<Digests> {
  return tenantDigest(client, await bind(client, sampleMap()), tenant);
}

async function tenants(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query('select id::text from public.organizations order by id');
  return rows.map((row) => row.id as string);
}
