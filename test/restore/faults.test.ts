import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { KeyFile } from '../../adapters/local/keyFile.ts';
import { restoreDatabase } from '../../core/restore/database.ts';
import { tenantDigest } from '../../core/restore/digest.ts';
import { restoreTest } from '../../core/restore/restoreTest.ts';
import { restoreTenant } from '../../core/restore/tenant.ts';
import { backup } from '../../core/snapshot/backup.ts';
import type { Manifest } from '../../core/snapshot/types.ts';
import { connect, ident, literal } from '../../core/sql.ts';
import { createDatabase } from '../support/database.ts';
import { type ProtectedSample, protectedSample } from './support.ts';

let sample: ProtectedSample;
let manifest: Manifest;
let folder: string;
beforeAll(async () => {
  sample = await protectedSample({ tenants: 2, usersPerTenant: 3, entriesPerUser: 4 });
  ({ manifest } = await backup(sample.ctx, { type: 'full' }));
  folder = (sample.ctx.store as DirectoryStore).directory;
});
afterAll(() => sample.drop());

const chunk = () => manifest.objects.find((o) => o.kind === 'chunk')!;
const restoreStore = (ctx = sample.ctx) =>
  restoreTenant(ctx, { tenant: sample.tenants[0]!, backup: manifest.id, source: 'store' });

/** Changes a file of the store, runs, and puts it back. */
async function damaged(
  name: string,
  bytes: (was: Buffer) => Buffer | undefined,
  work: () => Promise<void>,
): Promise<void> {
  const path = join(folder, name);
  const was = await readFile(path);
  const now = bytes(was);
  if (now) await writeFile(path, now);
  else await rm(path);
  try {
    await work();
  } finally {
    await writeFile(path, was);
  }
}

test('a missing, truncated or damaged object is named, and nothing is changed', async () => {
  const before = await tenantDigest(sample.client, sample.bound, null);
  await damaged(
    chunk().name,
    () => undefined,
    () => expect(restoreStore()).rejects.toMatchObject({ code: 'HF_OBJECT_MISSING' }),
  );
  await damaged(
    chunk().name,
    (b) => b.subarray(0, b.length - 1),
    () => expect(restoreStore()).rejects.toMatchObject({ code: 'HF_OBJECT_TRUNCATED' }),
  );
  const slab = chunk().slabs.find((s) => s.tenant === sample.tenants[0])!;
  const flip = (b: Buffer) => {
    const copy = Buffer.from(b);
    copy[slab.offset + 99]! ^= 1;
    return copy;
  };
  await damaged(chunk().name, flip, () =>
    expect(restoreStore()).rejects.toMatchObject({ code: 'HF_SLAB_CORRUPT', details: { object: chunk().name } }),
  );
  await damaged(chunk().name, flip, async () => {
    const proof = await restoreTest(sample.ctx, manifest);
    expect(proof).toMatchObject({ ok: false, failures: [expect.stringContaining('HF_SLAB_CORRUPT')] });
  });
  expect(await tenantDigest(sample.client, sample.bound, null)).toEqual(before);
});

test('a restore test that fails leaves no scratch database behind', async () => {
  // a role of its own tells this test's databases from those of tests beside it
  const role = `faults_${randomBytes(4).toString('hex')}`;
  const url = new URL(sample.ctx.databaseUrl!);
  url.username = role;
  url.password = role;
  await sample.client.query(`create role ${ident(role)} superuser login password ${literal(role)}`);
  const made = async () =>
    (
      await sample.client.query(
        'select datname from pg_database where datdba = (select oid from pg_roles where rolname = $1)',
        [role],
      )
    ).rows;
  let most = 0;
  const store = new Proxy(sample.ctx.store, {
    get(target, name) {
      if (name !== 'get') {
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      }
      return async (...of: Parameters<typeof target.get>) => {
        most = Math.max(most, (await made()).length);
        return await target.get(...of);
      };
    },
  });
  await damaged(
    chunk().name,
    (b) => b.subarray(0, 99),
    async () => {
      const proof = await restoreTest({ ...sample.ctx, store, databaseUrl: url.href }, manifest);
      expect(proof).toMatchObject({ ok: false });
    },
  );
  expect(most).toBe(1);
  expect(await made()).toEqual([]);
  await sample.client.query(`drop role ${ident(role)}`);
});

test('another key file opens nothing', async () => {
  const keys = await KeyFile.create(join(folder, '..', 'other-keys.json'));
  await expect(restoreStore({ ...sample.ctx, keys })).rejects.toMatchObject({
    code: expect.stringMatching(/^HF_(KEY|MANIFEST|STORE)_/),
  });
});

test('an interrupted restore leaves a database that cannot be mistaken for a whole one', async () => {
  const target = await createDatabase();
  await damaged(
    chunk().name,
    (b) => Buffer.from(b).fill(0, b.length >> 1),
    async () => {
      await expect(restoreDatabase(sample.ctx, { targetUrl: target.url })).rejects.toMatchObject({
        code: 'HF_SLAB_CORRUPT',
      });
    },
  );
  const client = await connect(target.url);
  await expect(client.query('create table public.mine ()')).rejects.toMatchObject({ code: '25006' });
  await client.end();
  await expect(restoreDatabase(sample.ctx, { targetUrl: target.url })).rejects.toMatchObject({
    code: 'HF_TARGET_NOT_EMPTY',
    details: { unfinished: true },
  });
  await target.drop();
  expect(await readdir(folder)).toContain('manifests');
});

test('a connection that dies while a restore is being applied changes nothing', async () => {
  const { client, ctx, tenants, bound } = sample;
  await client.query("update public.users set display_name = 'gone' where organization_id = $1", [tenants[0]]);
  const before = await tenantDigest(client, bound, null);
  const blocker = await sample.database.client();
  await blocker.query('begin');
  await blocker.query('select from public.users where organization_id = $1 for update', [tenants[0]]);
  const restoring = restoreTenant(ctx, { tenant: tenants[0]!, backup: manifest.id });
  const failed = expect(restoring).rejects.toThrow();
  for (;;) {
    const { rows } = await client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'holdfast-restore' and wait_event_type = 'Lock'",
    );
    if (rows.length > 0) break;
  }
  await failed;
  await blocker.query('rollback');
  expect(await tenantDigest(client, bound, null)).toEqual(before);
});
