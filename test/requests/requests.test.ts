import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { maintain } from '../../core/history/maintain.ts';
import { createRestorePoint } from '../../core/history/restorePoints.ts';
import { type Digests, tenantDigest } from '../../core/restore/digest.ts';
import { applyRequest } from '../../core/restore/requests/apply.ts';
import { requestRestore } from '../../core/restore/requests/create.ts';
import { approveRequest, rejectRequest } from '../../core/restore/requests/decide.ts';
import { beginMaintenance, listMaintenance } from '../../core/restore/requests/maintenance.ts';
import { withRequests } from '../../core/restore/requests/session.ts';
import { listRequests, readRequest } from '../../core/restore/requests/store.ts';
import type { RestoreRequest } from '../../core/restore/requests/types.ts';
import { previewUndoOfRequest, undoRequest } from '../../core/restore/requests/undo.ts';
import { lockTenant } from '../../core/restore/tenantLock.ts';
import { type ProtectedSample, protectedSample } from '../restore/support.ts';

let sample: ProtectedSample;
let hurt: string;
let other: string;
let n = 0;
let point: string;
beforeAll(async () => {
  sample = await protectedSample({ tenants: 3, usersPerTenant: 3, entriesPerUser: 4 });
  [hurt, other] = sample.tenants as [string, string];
});
afterAll(() => sample.drop());
beforeEach(async () => {
  n += 1;
  point = `good ${n}`;
  await createRestorePoint(sample.client, { name: point, tenant: hurt });
  await sample.client.query('update public.journal_entries set title = $2 where organization_id = $1', [
    hurt,
    `lost ${n}`,
  ]);
});

const digests = async (): Promise<Record<string, Digests>> => {
  const all: Record<string, Digests> = {};
  for (const tenant of sample.tenants) all[tenant] = await tenantDigest(sample.client, sample.bound, tenant);
  return all;
};
const ask = (extra: Partial<Parameters<typeof requestRestore>[1]> = {}) =>
  requestRestore(sample.ctx, {
    restore: { kind: 'tenant', request: { tenant: hurt, to: { point } } },
    by: 'ann',
    reason: 'titles were lost',
    ...extra,
  });
const approved = async (extra = {}): Promise<RestoreRequest> => {
  const { id } = await ask(extra);
  return approveRequest(sample.ctx, { id, by: 'ben', reason: 'seen' });
};
const titles = async (): Promise<string[]> => {
  const { rows } = await sample.client.query(
    'select title from public.journal_entries where organization_id = $1 order by id',
    [hurt],
  );
  return rows.map((r) => r.title);
};

test('requested, approved by another, applied, undone; every step in the log', async () => {
  const { ctx, client } = sample;
  const damaged = await digests();
  const request = await ask();
  expect(request).toMatchObject({ state: 'requested', kind: 'tenant', requestedBy: 'ann', tenant: hurt });
  expect((request.plan.samples as unknown[]).length).toBeGreaterThan(0);
  expect(await digests()).toEqual(damaged);

  const { id, fingerprint } = request;
  expect(await approveRequest(ctx, { id, by: 'ben', reason: 'seen', fingerprint })).toMatchObject({
    state: 'approved',
    decidedBy: 'ben',
    decision: 'seen',
  });
  const applied = await applyRequest(ctx, { id, by: 'ann' });
  expect(applied).toMatchObject({ state: 'applied', appliedBy: 'ann', xid: expect.stringMatching(/^\d+$/) });
  expect(await titles()).not.toContain(`lost ${n}`);
  // The rows that were shown are in the trail now; what was approved is named by its fingerprint.
  expect(applied.plan).toMatchObject({ fingerprint, tables: request.plan.tables });
  expect(applied.plan.samples).toBeUndefined();
  const trail = await client.query(
    'select distinct user_id, user_agent from holdfast.audit_trail where organization = $1 and xid = $2',
    [hurt, applied.xid],
  );
  expect(trail.rows).toEqual([{ user_id: 'ann', user_agent: `holdfast restore request ${id}` }]);

  const undone = await undoRequest(ctx, { id, by: 'cay', reason: 'wrong day' });
  expect(undone.request).toMatchObject({ state: 'undone', undoneBy: 'cay', undoReason: 'wrong day' });
  expect(await digests()).toEqual(damaged);

  const log = await client.query(
    "select detail ->> 'state' as state, detail ->> 'by' as by, detail ->> 'reason' as reason from holdfast.tenant_backup_logs where step = 'restore-request' and detail ->> 'request' = $1 order by id",
    [id],
  );
  expect(log.rows).toEqual([
    { state: 'requested', by: 'ann', reason: 'titles were lost' },
    { state: 'approved', by: 'ben', reason: 'seen' },
    { state: 'running', by: 'ann', reason: null },
    { state: 'applied', by: 'ann', reason: null },
    { state: 'undone', by: 'cay', reason: 'wrong day' },
  ]);
  await expect(undoRequest(ctx, { id, by: 'cay' })).rejects.toMatchObject({ code: 'HF_REQUEST_STATE' });
});

test('nobody approves their own request, and the database holds to it', async () => {
  const { ctx, client } = sample;
  const { id } = await ask();
  for (const by of ['ann', ' Ann ', 'ANN']) {
    await expect(approveRequest(ctx, { id, by })).rejects.toMatchObject({ code: 'HF_FOUR_EYES' });
  }
  const approve =
    "update holdfast.restore_requests set state = 'approved', decided_by = $2, decided_at = now() where id = $1";
  await expect(client.query(approve, [id, 'Ann '])).rejects.toMatchObject({ code: '23514', constraint: 'four_eyes' });
  await expect(client.query(approve, [id, null])).rejects.toMatchObject({ code: '23514' });
  for (const forbidden of [
    "update holdfast.restore_requests set state = 'applied', decided_by = 'ben', applied_by = 'ben', attempt = gen_random_uuid() where id = $1",
    "update holdfast.restore_requests set requested_by = 'zoe' where id = $1",
    "update holdfast.restore_requests set fingerprint = 'other' where id = $1",
    "update holdfast.restore_requests set plan = '{}' where id = $1",
    "update holdfast.restore_requests set expires_at = expires_at + interval '1 day' where id = $1",
    'delete from holdfast.restore_requests where id = $1',
    "insert into holdfast.restore_requests (kind, tenant, request, reason, plan, fingerprint, requested_by, expires_at, state, decided_by) select kind, tenant, request, reason, plan, fingerprint, 'x', expires_at, 'approved', 'y' from holdfast.restore_requests where id = $1",
  ]) {
    await expect(client.query(forbidden, [id])).rejects.toMatchObject({ code: 'HF004' });
  }
  await expect(applyRequest(ctx, { id, by: 'ann' })).rejects.toMatchObject({ code: 'HF_REQUEST_STATE' });
  expect(await readRequest(client, id)).toMatchObject({ state: 'requested', requestedBy: 'ann' });
});

test('rejected, expired, unknown, unnamed, stale or blocked: refused, and nothing changes', async () => {
  const { ctx, client } = sample;
  const damaged = await digests();
  const { id } = await approved();
  await expect(approveRequest(ctx, { id, by: 'cay' })).rejects.toMatchObject({ code: 'HF_REQUEST_STATE' });
  expect(await rejectRequest(ctx, { id, by: 'ann', reason: 'not needed' })).toMatchObject({ state: 'rejected' });
  await expect(applyRequest(ctx, { id, by: 'ann' })).rejects.toMatchObject({ code: 'HF_REQUEST_STATE' });
  await expect(undoRequest(ctx, { id, by: 'ann' })).rejects.toMatchObject({ code: 'HF_REQUEST_STATE' });

  const short = await approved({ expiresInSeconds: 1 });
  const undecided = await ask({ expiresInSeconds: 0.2 });
  await sleep(1100);
  await expect(
    client.query(
      "update holdfast.restore_requests set state = 'running', applied_by = 'x', attempt = gen_random_uuid() where id = $1",
      [short.id],
    ),
  ).rejects.toMatchObject({ code: 'HF004' });
  await expect(applyRequest(ctx, { id: short.id, by: 'ann' })).rejects.toMatchObject({ code: 'HF_REQUEST_EXPIRED' });
  await expect(approveRequest(ctx, { id: undecided.id, by: 'ben' })).rejects.toMatchObject({
    code: 'HF_REQUEST_EXPIRED',
  });

  for (const unknown of ['999999', 'x', "1'", '-1', '']) {
    await expect(applyRequest(ctx, { id: unknown, by: 'ann' })).rejects.toMatchObject({ code: 'HF_REQUEST_UNKNOWN' });
  }
  await expect(ask({ by: ' ' })).rejects.toMatchObject({ code: 'HF_ARGUMENT_INVALID' });
  const open = await ask();
  await expect(approveRequest(ctx, { id: open.id, by: 'ben', fingerprint: 'other' })).rejects.toMatchObject({
    code: 'HF_PLAN_STALE',
  });
  expect(await digests()).toEqual(damaged);

  const stale = await approved();
  await client.query("update public.journal_entries set title = 'later' where organization_id = $1", [hurt]);
  const edited = await digests();
  await expect(applyRequest(ctx, { id: stale.id, by: 'ann' })).rejects.toMatchObject({ code: 'HF_PLAN_STALE' });
  expect(await readRequest(client, stale.id)).toMatchObject({ state: 'failed', error: { code: 'HF_PLAN_STALE' } });
  expect(await digests()).toEqual(edited);

  const blocked = requestRestore(ctx, {
    restore: {
      kind: 'transfer',
      request: { from: hurt, into: other, tables: ['public.sessions'], asSystemAdministrator: true },
    },
    by: 'ann',
    reason: 'x',
  });
  await expect(blocked).rejects.toMatchObject({ code: 'HF_REQUEST_BLOCKED' });
  expect(await digests()).toEqual(edited);
});

test('a tenant that another restore is writing: refused, still approved, and applied afterwards', async () => {
  const { ctx, database } = sample;
  const { id } = await approved();
  const rival = await database.client();
  await rival.query('begin');
  await lockTenant(rival, hurt);
  await expect(applyRequest(ctx, { id, by: 'ann' })).rejects.toMatchObject({ code: 'HF_RESTORE_BUSY' });
  expect(await readRequest(sample.client, id)).toMatchObject({ state: 'approved' });
  await rival.query('rollback');
  const both = await Promise.allSettled([applyRequest(ctx, { id, by: 'ann' }), applyRequest(ctx, { id, by: 'cay' })]);
  expect(both.filter((b) => b.status === 'fulfilled')).toHaveLength(1);
  expect(both.find((b) => b.status === 'rejected')).toMatchObject({ reason: { code: 'HF_REQUEST_STATE' } });
  expect(await readRequest(sample.client, id)).toMatchObject({ state: 'applied' });
});

test('a run whose session is gone has failed, and its maintenance ends', async () => {
  const { ctx, client, database } = sample;
  const damaged = await digests();
  const { id } = await approved({ maintenance: true });
  const holder = await database.client();
  await holder.query('begin');
  await holder.query('select from public.journal_entries where organization_id = $1 for update', [hurt]);
  const run = applyRequest(ctx, { id, by: 'ann', wait: 0 });
  const failed = expect(run).rejects.toBeDefined();
  for (;;) {
    const { rows } = await client.query(
      "select from pg_stat_activity where application_name = 'holdfast-restore' and wait_event_type = 'Lock' and datname = current_database()",
    );
    if (rows.length > 0) break;
    await sleep(20);
  }
  expect(await withRequests(ctx, (c) => readRequest(c, id))).toMatchObject({ state: 'running' });
  expect(await listMaintenance(client, hurt)).toMatchObject([{ request: id }]);
  await client.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name in ('holdfast-restore', 'holdfast-requests') and datname = current_database()",
  );
  await failed;
  await holder.query('rollback');
  expect(await withRequests(ctx, (c) => listRequests(c, { tenant: hurt, limit: 1 }))).toMatchObject([
    { id, state: 'failed', error: { code: 'HF_REQUEST_KILLED' } },
  ]);
  expect(await listMaintenance(client)).toEqual([]);
  expect(await digests()).toEqual(damaged);
});

test('maintain settles what nobody looks at: expired, interrupted, and maintenance that ran out', async () => {
  const { client } = sample;
  const { id } = await approved();
  const late = await ask({ expiresInSeconds: 0.1 });
  await client.query(
    "update holdfast.restore_requests set state = 'running', applied_by = 'ann', attempt = gen_random_uuid() where id = $1",
    [id],
  );
  const lease = { tenant: other, by: 'ann', reason: 'x', seconds: 0.1, wait: 0 };
  await beginMaintenance(client, lease);
  await sleep(200);
  const { requests } = await maintain(client);
  expect(requests).toEqual({ interrupted: [id], expired: [late.id], released: [other] });
  expect(await readRequest(client, id)).toMatchObject({ state: 'failed', error: { code: 'HF_REQUEST_KILLED' } });
  expect(await readRequest(client, late.id)).toMatchObject({ state: 'expired' });
  expect((await maintain(client)).requests).toEqual({ interrupted: [], expired: [], released: [] });
});

test('a run that was given up for dead in between does not commit', async () => {
  const { ctx, client, database } = sample;
  const damaged = await digests();
  const { id } = await approved();
  const holder = await database.client();
  await holder.query('begin');
  await holder.query('select from public.journal_entries where organization_id = $1 for update', [hurt]);
  const run = applyRequest(ctx, { id, by: 'ann' });
  const failed = expect(run).rejects.toBeDefined();
  while ((await readRequest(client, id)).state !== 'running') await sleep(20);
  await client.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'holdfast-requests' and datname = current_database()",
  );
  await sleep(100);
  expect(await withRequests(ctx, (c) => readRequest(c, id))).toMatchObject({ state: 'failed' });
  await holder.query('rollback');
  await failed;
  expect(await digests()).toEqual(damaged);
});

test('undoing a restore keeps what was edited since', async () => {
  const { ctx, client } = sample;
  const { id } = await approved();
  await applyRequest(ctx, { id, by: 'ann' });
  await client.query('select holdfast.set_actor($1)', ['dee']);
  await client.query("update public.journal_entries set body = 'new text' where organization_id = $1", [hurt]);
  // The later edit also moved updated_at, which the restore had put back: a trigger's stamp is nobody's edit.
  const preview = await previewUndoOfRequest(ctx, { id });
  expect(preview).toMatchObject({ conflicts: [], stamped: [{ column: 'updated_at' }] });
  const { undo } = await undoRequest(ctx, { id, by: 'cay', fingerprint: preview.fingerprint });
  expect(undo.tables).toEqual(preview.tables);
  const { rows } = await client.query(
    'select distinct title, body from public.journal_entries where organization_id = $1',
    [hurt],
  );
  expect(rows).toEqual([{ title: `lost ${n}`, body: 'new text' }]);
});

test('undo and copies into another tenant take the same path', async () => {
  const { ctx, client } = sample;
  const before = await digests();
  const copy = await requestRestore(ctx, {
    restore: {
      kind: 'transfer',
      request: { from: hurt, into: other, tables: ['public.users', 'public.folders'], asSystemAdministrator: true },
    },
    by: 'ann',
    reason: 'the team moved',
    maintenance: true,
  });
  expect(copy).toMatchObject({ tenant: other, sourceTenant: hurt });
  await approveRequest(ctx, { id: copy.id, by: 'ben' });
  await applyRequest(ctx, { id: copy.id, by: 'ann' });
  const copied = await digests();
  expect(copied[hurt]).toEqual(before[hurt]);
  expect(copied[other]!['public.users']!.rows).toBe(before[other]!['public.users']!.rows + 3);
  await undoRequest(ctx, { id: copy.id, by: 'ann' });
  expect(await digests()).toEqual(before);

  await client.query("begin; select holdfast.set_actor('eve', session_id := 'night')");
  await client.query("update public.folders set name = 'junk ' || id where organization_id = $1", [hurt]);
  await client.query('commit');
  const undo = await requestRestore(ctx, {
    restore: { kind: 'undo', request: { tenant: hurt, scope: { kind: 'session', session: 'night' } } },
    by: 'ann',
    reason: 'a wrong script',
  });
  await approveRequest(ctx, { id: undo.id, by: 'ben' });
  await applyRequest(ctx, { id: undo.id, by: 'ben' });
  expect(await digests()).toEqual(before);
});

test('a tenant sees its own requests, but not who copies what from where', async () => {
  const { client } = sample;
  const seenBy = async (tenant: string) => {
    await client.query(
      `begin; create role clerk; grant select on holdfast.restore_requests, holdfast.maintenance to clerk; set local role clerk`,
    );
    await client.query("select set_config('holdfast.tenant', $1, true)", [tenant]);
    const { rows } = await client.query('select distinct tenant, kind from holdfast.restore_requests order by kind');
    await client.query('rollback');
    return rows;
  };
  expect(await seenBy(hurt)).toEqual([
    { tenant: hurt, kind: 'tenant' },
    { tenant: hurt, kind: 'undo' },
  ]);
  expect(await seenBy(other)).toEqual([]);
  expect(await seenBy('')).toEqual([]);
});
