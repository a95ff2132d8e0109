import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { DirectoryStore } from '../../adapters/local/directoryStore.ts';
import { KeyFile } from '../../adapters/local/keyFile.ts';
import { backupLog, listBackups } from '../../core/catalog/list.ts';
import { proveBackup } from '../../core/catalog/prove.ts';
import { rebuildCatalog } from '../../core/catalog/rebuild.ts';
import { StoreError } from '../../core/errors.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { listManifests } from '../../core/snapshot/manifest.ts';
import { documentBytes } from '../../core/snapshot/store.ts';
import { connect } from '../../core/sql.ts';
import { makeWorld, tenants, type World } from '../snapshot/world.ts';
import { temporaryDirectory } from '../support/temporary.ts';

let world: World;
let one: string;
let two: string;
beforeAll(async () => {
  world = await makeWorld({ directory: await temporaryDirectory() });
  [one, two] = (await tenants(world.client)) as [string, string];
  await backup(world.ctx, { type: 'full' });
  await backup(world.ctx, { type: 'full', tenant: one });
  await backup(world.ctx, { type: 'full', tenant: two });
});
afterAll(() => world.database.drop());

const manifests = async () => (await listManifests(world.ctx.store)).map((ref) => ref.id).sort();
const otherKeys = async () => KeyFile.create(join(await temporaryDirectory(), 'other.key'));
const everything = async () =>
  (await world.client.query('select * from holdfast.tenant_backups order by id')).rows.map(
    ({ proof: _p, proven_at: _a, verified_at: _v, ...row }) => row,
  );

test('each step of a run is kept', async () => {
  const [latest] = await listBackups(world.client);
  const steps = await backupLog(world.client, latest!.id);
  expect(steps.map((s) => [s.step, s.result])).toEqual(
    ['check', 'copy', 'log', 'schema', 'verify', 'manifest', 'register'].map((step) => [step, 'ok']),
  );
});

test('a tenant is shown its own backups and those of the whole database', async () => {
  expect((await listBackups(world.client, { tenant: one })).map((b) => b.tenant)).toEqual([one, null]);
  expect(await listBackups(world.client)).toHaveLength(3);
});

test.each(['backups/', 'manifests/'])(
  'a run that fails at %s is kept with its error, and leaves no manifest',
  async (at) => {
    const before = await manifests();
    const full = new StoreError('HF_STORE_FULL', 'No room.', { action: 'Make some.' });
    const refuse = (put: (name: string, body: never) => Promise<void>) => (name: string, body: never) =>
      name.startsWith(at) ? Promise.reject(full) : put(name, body);
    const { store: whole } = world.ctx;
    const store = new Proxy(whole, {
      get: (target, name) => {
        const method = Reflect.get(target, name, target)?.bind?.(target);
        return name === 'put' || name === 'putStream' ? refuse(method) : method;
      },
    });
    await expect(backup({ ...world.ctx, store }, { type: 'full' })).rejects.toBe(full);
    expect(await manifests()).toEqual(before);
    const [failed] = await listBackups(world.client, { all: true });
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'HF_STORE_FULL' } });
    expect(before).not.toContain(failed!.id);
    const named = [];
    for await (const { name } of whole.list('manifests/')) if (name.includes(failed!.id)) named.push(name);
    expect(named).toEqual([]);
    expect((await listBackups(world.client)).map((b) => b.id)).not.toContain(failed!.id);
  },
);

test('the catalog is rebuilt from the store alone, row for row', async () => {
  const before = await everything();
  await world.client.query('begin');
  await world.client.query('truncate holdfast.tenant_backups');
  await world.client.query('commit');
  const report = await rebuildCatalog(world.ctx, world.client);
  expect(report).toMatchObject({ backups: 3, damaged: [], newEpoch: true });
  expect(await everything()).toEqual(before.filter((row) => row.status === 'complete'));
  // A database that had forgotten its backups may be an older one: the next backup starts a new chain.
  const { manifest, note } = await backup(world.ctx, { type: 'incremental' });
  expect(manifest.type).toBe('full');
  expect(note).toMatch(/restored since/);
  expect((await rebuildCatalog(world.ctx, world.client)).newEpoch).toBe(false);
});

test('a restore test that passes is shown as proof', async () => {
  const { manifest } = await backup(world.ctx, { type: 'full' });
  const proof = await proveBackup(world.ctx, manifest);
  expect(proof.failures).toEqual([]);
  const [latest] = await listBackups(world.client);
  expect(latest).toMatchObject({ id: manifest.id });
  expect(latest!.provenAt).not.toBeNull();
  expect(latest!.proof).toEqual({ state: 'proven', reason: null });
});

test('a restore test that could not be made, or that failed, is told apart from one that nobody asked for', async () => {
  const { manifest } = await backup(world.ctx, { type: 'full' });
  const proof = async () => (await listBackups(world.client)).find((b) => b.id === manifest.id)!.proof;
  expect(await proof()).toEqual({ state: 'never', reason: null });

  const role = `no_createdb_${world.database.name}`;
  await world.client.query(
    `create role ${role} login password 'x' bypassrls; grant usage on schema holdfast to ${role};
     grant all on all tables in schema holdfast to ${role}; grant all on all sequences in schema holdfast to ${role}`,
  );
  try {
    const url = new URL(world.database.url);
    url.username = role;
    url.password = 'x';
    await expect(proveBackup({ ...world.ctx, databaseUrl: url.href }, manifest)).rejects.toMatchObject({
      code: 'HF_SCRATCH_DENIED',
      message: expect.stringContaining(`${manifest.id} is complete and was kept`),
      action: expect.stringContaining('--no-prove'),
    });
  } finally {
    await world.client.query(`drop owned by ${role}; drop role ${role}`);
  }
  expect(await proof()).toMatchObject({ state: 'not run', reason: expect.stringContaining('scratch database') });

  const { name, size } = manifest.objects.find((o) => o.kind === 'chunk')!;
  const file = await open(join((world.ctx.store as DirectoryStore).directory, name), 'r+');
  const last = Buffer.alloc(1);
  await file.read(last, 0, 1, size - 1);
  await file.write(Buffer.from([last[0]! ^ 1]), 0, 1, size - 1);
  await file.close();
  expect((await proveBackup(world.ctx, manifest)).ok).toBe(false);
  expect(await proof()).toMatchObject({ state: 'failed', reason: expect.stringContaining('damaged') });
});

test('what restore tests found is in the store too, and comes back with the catalog', async () => {
  const proofs = async () =>
    (
      await world.client.query(
        'select id, proof, proven_at from holdfast.tenant_backups where proof is not null order by id',
      )
    ).rows;
  const before = await proofs();
  expect(before.map((row) => row.proof.ok)).toEqual([true, false]);
  await world.client.query('update holdfast.tenant_backups set proof = null, proven_at = null');
  // Whoever can write into the store cannot say that a backup restores.
  const forged = {
    format: 'holdfast-proof',
    version: 1,
    backup: before[1].id,
    at: '2999-01-01T00:00:00Z',
    result: { ok: true },
  };
  const signature = await (await otherKeys()).sign(Buffer.from('x'));
  await world.ctx.store.put(`proofs/${before[1].id}/2999.json`, documentBytes({ ...forged, signature }));
  await rebuildCatalog(world.ctx, world.client);
  expect(await proofs()).toEqual(before);
});

test('statistics count what is there', async () => {
  const { rows } = await world.client.query('select * from holdfast.tenant_backup_stats where tenant = $1', [one]);
  expect(rows[0]).toMatchObject({ backups: '1', failures: '0' });
  expect(Number(rows[0].bytes)).toBeGreaterThan(0);
});

test("a tenant's session sees no row of another, in no table and no view, whatever role it runs as", async () => {
  await world.client.query(
    `insert into holdfast.tenant_restore_points (name, tenant, moment, snapshot)
     select n, t, now(), '1:1:'::pg_snapshot from unnest($1::text[]) t, unnest(array['before']) n union all select 'all', null, now(), '1:1:'::pg_snapshot`,
    [[one, two]],
  );
  await world.client.query(
    "insert into holdfast.tenant_backup_schedules (name, tenant, type, cron) values ('a', $1, 'full', '* * * * *'), ('a', $2, 'full', '* * * * *'), ('a', null, 'full', '0 2 * * 0')",
    [one, two],
  );
  const role = `tenant_app_${world.database.name}`;
  const owner = `owner_${world.database.name}`;
  await world.client.query(`create role ${role} login password 'x'; create role ${owner} login password 'x'`);
  await world.client.query(
    `grant usage on schema holdfast to ${role}; grant select on all tables in schema holdfast to ${role}`,
  );
  const tables = ['tenant_backups', 'tenant_restore_points', 'tenant_backup_schedules', 'tenant_backup_logs'];
  for (const [user, isOwner] of [
    [role, false],
    [owner, true],
  ] as const) {
    if (isOwner) {
      const from = (await world.client.query('select current_user as me')).rows[0].me;
      await world.client.query(`grant usage on schema holdfast to ${owner}`);
      for (const table of [...tables, 'tenant_backup_list', 'tenant_backup_stats'])
        await world.client.query(`alter table holdfast.${table} owner to ${owner}`);
      for (const table of tables) await world.client.query(`alter policy operator on holdfast.${table} to ${owner}`);
      await world.client.query(`alter policy whole_database on holdfast.tenant_backups to ${owner}`);
      expect(from).not.toBe(owner);
    }
    const url = new URL(world.ctx.databaseUrl);
    url.username = user;
    url.password = 'x';
    const session = await connect(url.href);
    await session.query("select set_config('holdfast.tenant', $1, false)", [one]);
    for (const table of [...tables, 'tenant_backup_stats']) {
      const { rows } = await session.query(`select distinct tenant from holdfast.${table}`);
      const seen = rows.map((row) => row.tenant);
      const allowed = isOwner && table === 'tenant_backups' ? [one, null] : [one];
      expect({ table, seen: seen.sort() }).toEqual({ table, seen: allowed });
    }
    const listed = await listBackups(session, { all: true });
    expect([...new Set(listed.map((b) => b.tenant))].sort()).toEqual([one, null]);
    for (const b of listed) expect(b.bytes === null).toBe(b.tenant === null);
    expect(listed.every((b) => b.tenant !== null || b.error === null)).toBe(true);
    if (!isOwner) {
      await session.query("select set_config('holdfast.tenant', '', false)");
      for (const table of tables) expect((await session.query(`select 1 from holdfast.${table}`)).rowCount).toBe(0);
    }
    await session.end();
  }
});
