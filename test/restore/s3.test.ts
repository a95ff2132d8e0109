/** The whole way through S3: backup, incremental, validation, and a database made again from the bucket alone. */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { S3Store } from '../../adapters/aws/s3Store.ts';
import type { Context } from '../../core/context.ts';
import { restoreDatabase } from '../../core/restore/database.ts';
import { tenantDigest } from '../../core/restore/digest.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { validate } from '../../core/snapshot/validate.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { type ProtectedSample, protectedSample } from './support.ts';

let s3: FauxqsServer;
let store: S3Store;
let sample: ProtectedSample;
let target: TestDatabase;

beforeAll(async () => {
  s3 = await startFauxqs({ port: 0, logger: false, init: { buckets: ['vault'] } });
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  store = S3Store.open(`s3://vault/holdfast?endpoint=http://127.0.0.1:${s3.port}`, { credentials });
  sample = await protectedSample({ tenants: 3, usersPerTenant: 4, entriesPerUser: 6 });
  target = await createDatabase({ prefix: 'from_s3' });
});
afterAll(async () => {
  await sample.drop();
  await target.drop();
  store.close();
  await s3.stop();
});

test('a bucket and the keys are enough to bring everything back', async () => {
  const ctx: Context = { ...sample.ctx, store };
  await backup(ctx, { type: 'full' });
  const [tenant] = sample.tenants;
  await sample.client.query('update public.journal_entries set title = title || $2 where organization_id = $1', [
    tenant,
    '!',
  ]);
  const { manifest } = await backup(ctx, { type: 'incremental' });
  expect(manifest.totals.changes).toBeGreaterThan(0);
  expect((await validate(ctx, manifest.id, { deep: true })).faults).toEqual([]);

  const { databaseUrl: _, ...storeOnly } = ctx;
  await restoreDatabase(storeOnly, { targetUrl: target.url });
  const client = await target.client();
  for (const id of sample.tenants) {
    expect(await tenantDigest(client, sample.bound, id)).toEqual(await tenantDigest(sample.client, sample.bound, id));
  }
});
