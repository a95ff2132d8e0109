import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { bind } from '../../core/datamap/bind.ts';
import { restoreDatabase } from '../../core/restore/database.ts';
import { tenantDigest } from '../../core/restore/digest.ts';
import { restoreTest } from '../../core/restore/restoreTest.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { createDatabase } from '../support/database.ts';
import { type ProtectedSample, protectedSample } from './support.ts';

let sample: ProtectedSample;
beforeAll(async () => {
  sample = await protectedSample({ tenants: 3, usersPerTenant: 4, entriesPerUser: 6 });
});
afterAll(() => sample.drop());

async function digestOf(url: string, tenant: string | null) {
  const { connect } = await import('../../core/sql.ts');
  const client = await connect(url);
  try {
    return await tenantDigest(client, await bind(client, sample.ctx.map), tenant);
  } finally {
    await client.end();
  }
}

test('a full and its logs become a whole database again, and one tenant of it', async () => {
  const { ctx, client, tenants } = sample;
  await backup(ctx, { type: 'full' });
  await client.query("update public.journal_entries set title = title || '!' where organization_id = $1", [tenants[0]]);
  await client.query('delete from public.comments where id % 3 = 0');
  await client.query(
    "insert into public.tags (organization_id, name) select id, 'brand new' from public.organizations",
  );
  const { manifest } = await backup(ctx, { type: 'incremental' });
  const live = await digestOf(ctx.databaseUrl!, null);

  const target = await createDatabase();
  const result = await restoreDatabase(ctx, { targetUrl: target.url });
  expect(await digestOf(target.url, null)).toEqual(live);
  expect(result.backups).toHaveLength(2);
  await expect(restoreDatabase(ctx, { targetUrl: target.url })).rejects.toMatchObject({ code: 'HF_TARGET_NOT_EMPTY' });
  await target.drop();

  const one = await createDatabase();
  await restoreDatabase(ctx, { targetUrl: one.url, tenant: tenants[1]! });
  expect(await digestOf(one.url, tenants[1]!)).toEqual(await digestOf(ctx.databaseUrl!, tenants[1]!));
  expect(await digestOf(one.url, tenants[0]!)).toMatchObject({ 'public.users': { rows: 0 } });
  await one.drop();

  const proof = await restoreTest(ctx, manifest);
  expect(proof).toMatchObject({ ok: true, failures: [] });
  expect(proof.foreignKeys).toBeGreaterThan(20);
  expect(proof.tables.find((t) => t.name === 'public.comments')!.rows).toBe(live['public.comments']!.rows);
});
