import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type pg from 'pg';
import { createRestorePoint } from '../../core/history/restorePoints.ts';
import { tenantDigest } from '../../core/restore/digest.ts';
import { applyRequest } from '../../core/restore/requests/apply.ts';
import { requestRestore } from '../../core/restore/requests/create.ts';
import { approveRequest } from '../../core/restore/requests/decide.ts';
import {
  beginMaintenance,
  endMaintenance,
  listMaintenance,
  renewMaintenance,
  sweepMaintenance,
} from '../../core/restore/requests/maintenance.ts';
import { restoreTenant } from '../../core/restore/tenant.ts';
import { type ProtectedSample, protectedSample } from '../restore/support.ts';

let sample: ProtectedSample;
let shut: string;
let open: string;
let app: pg.Client;
beforeAll(async () => {
  sample = await protectedSample({ tenants: 2, usersPerTenant: 3, entriesPerUser: 3 });
  [shut, open] = sample.tenants as [string, string];
  app = await sample.database.client();
});
afterAll(() => sample.drop());
afterEach(async () => {
  await endMaintenance(sample.client, shut, 'test');
});

const begin = (options: { seconds?: number; wait?: number } = {}) =>
  beginMaintenance(sample.client, { tenant: shut, by: 'ann', reason: 'repairs', seconds: 60, ...options });
const functions = async (): Promise<string> => {
  const { rows } = await sample.client.query(
    "select md5(string_agg(regexp_replace(pg_get_functiondef(p.oid), '\\s+', ' ', 'g'), '' order by p.proname)) as md5 from pg_proc p where p.pronamespace = 'holdfast'::regnamespace and p.proname ~ '^(capture|truncate)_'",
  );
  return rows[0].md5;
};

/** Writes of every kind, straight and through a path, to one tenant. */
const writes = (tenant: string): [string, unknown[]][] => [
  ["insert into public.tags (organization_id, name) values ($1, 'new ' || random())", [tenant]],
  ["update public.users set display_name = display_name || '.' where organization_id = $1", [tenant]],
  [
    "update public.comments set body = body || '.' where entry_id in (select id from public.journal_entries where organization_id = $1)",
    [tenant],
  ],
  [
    "update public.transcription_segments s set transcript = s.transcript || '.' from public.voice_notes v, public.journal_entries e where v.id = s.voice_note_id and e.id = v.entry_id and e.organization_id = $1",
    [tenant],
  ],
  [
    'delete from public.writing_days where user_id in (select id from public.users where organization_id = $1)',
    [tenant],
  ],
  ['delete from public.users where id = (select id from public.users where organization_id = $1 limit 1)', [tenant]],
  ['update public.organizations set name = name where id = $1', [tenant]],
];

test('writes to the tenant are refused, others are not held up, and afterwards all is as before', async () => {
  const { client, bound } = sample;
  const before = await functions();
  const digest = await tenantDigest(client, bound, shut);
  const begun = await begin();
  expect(begun).toMatchObject({ tenant: shut, startedBy: 'ann', reason: 'repairs', stillOpen: 0, request: null });
  for (const [sql, values] of writes(shut).slice(0, 6)) {
    await expect(app.query(sql, values)).rejects.toMatchObject({
      code: 'HF003',
      message: `tenant ${shut} is in maintenance: repairs`,
      hint: expect.stringMatching(/^Try again after 20/),
    });
  }
  await expect(app.query('truncate public.writing_days')).rejects.toMatchObject({ code: 'HF003' });
  await expect(
    app.query('update public.folders set organization_id = $2 where organization_id = $1', [open, shut]),
  ).rejects.toMatchObject({ code: 'HF003' });
  expect(await tenantDigest(client, bound, shut)).toEqual(digest);
  await app.query('begin');
  for (const [sql, values] of writes(open)) await app.query(sql, values);
  await app.query('rollback');
  await expect(begin()).rejects.toMatchObject({ code: 'HF_MAINTENANCE_ON' });

  expect(await endMaintenance(client, shut, 'ben')).toBe(true);
  expect(await endMaintenance(client, shut, 'ben')).toBe(false);
  expect(await functions()).toBe(before);
  await app.query('begin');
  for (const [sql, values] of writes(shut)) await app.query(sql, values);
  await app.query('rollback');
  const log = await client.query(
    "select result, detail ->> 'state' as state, detail ->> 'by' as by from holdfast.tenant_backup_logs where step = 'maintenance' and tenant = $1 order by id",
    [shut],
  );
  expect(log.rows).toEqual([
    { result: 'started', state: 'on', by: 'ann' },
    { result: 'ok', state: 'off', by: 'ben' },
  ]);
});

test('nobody slips through: neither an older snapshot nor a setting that only claims to restore', async () => {
  const old = await sample.database.client();
  await old.query('begin isolation level repeatable read');
  await old.query('select 1 from holdfast.installation'); // its snapshot is older than the maintenance
  await begin();
  const [sql, values] = writes(shut)[1]!;
  await expect(old.query(sql, values)).rejects.toMatchObject({ code: 'HF003' });
  await old.query('rollback');

  const clerk = `clerk_${sample.database.name}`;
  await sample.client.query(
    `create role ${clerk}; grant usage on schema public to ${clerk}; grant update, select on public.users to ${clerk}`,
  );
  try {
    await old.query(`set session authorization ${clerk}`);
    await old.query("select set_config('holdfast.guard_tenant', $1, false)", [shut]);
    await expect(old.query(sql, values)).rejects.toMatchObject({ code: 'HF003' });
    await old.query('reset session authorization');
  } finally {
    await sample.client.query(`drop owned by ${clerk}; drop role ${clerk}`);
  }
});

test('it waits for those who were writing, and says so when they do not come to an end', async () => {
  const slow = await sample.database.client();
  await slow.query('begin');
  await slow.query(...(writes(shut)[1] as [string, unknown[]]));
  expect(await begin({ wait: 100 })).toMatchObject({ stillOpen: 1 });
  await endMaintenance(sample.client, shut, 'test');
  const waiting = begin({ wait: 20_000 });
  await sleep(200);
  await slow.query('rollback');
  expect(await waiting).toMatchObject({ stillOpen: 0 });
});

test('it ends by itself, unless it is renewed', async () => {
  const { client } = sample;
  const before = await functions();
  const [sql, values] = writes(shut)[1]!;
  await begin({ seconds: 0.3 });
  expect(await renewMaintenance(client, shut, 0.9)).toBe(true);
  await sleep(400);
  await expect(app.query(sql, values)).rejects.toMatchObject({ code: 'HF003' });
  await sleep(600);
  await app.query(sql, values);
  expect(await listMaintenance(client)).toEqual([]);
  expect(await sweepMaintenance(client)).toEqual([shut]);
  expect(await functions()).toBe(before);
  expect(await renewMaintenance(client, shut, 1)).toBe(false);
});

test('a change of the schema keeps the check', async () => {
  await begin();
  await sample.client.query('alter table public.tags add column note text');
  await expect(app.query(...(writes(shut)[0] as [string, unknown[]]))).rejects.toMatchObject({ code: 'HF003' });
  await sample.client.query('alter table public.tags drop column note');
});

test('the restore itself passes, whoever turned it on; what a person turned on stays on', async () => {
  const { client, ctx } = sample;
  const { name } = await createRestorePoint(client, { name: 'good', tenant: shut });
  await client.query("update public.users set display_name = 'x' where organization_id = $1", [shut]);
  const hurt = await createRestorePoint(client, { name: 'hurt', tenant: shut });
  await begin();
  await restoreTenant(ctx, { tenant: shut, restorePoint: name });
  await restoreTenant(ctx, { tenant: shut, restorePoint: hurt.name });
  const request = await requestRestore(ctx, {
    restore: { kind: 'tenant', request: { tenant: shut, to: { point: name } } },
    by: 'ann',
    reason: 'names were lost',
    maintenance: true,
  });
  await approveRequest(ctx, { id: request.id, by: 'ben' });
  expect(await applyRequest(ctx, { id: request.id, by: 'ann' })).toMatchObject({ state: 'applied' });
  expect(await listMaintenance(client, shut)).toMatchObject([{ startedBy: 'ann', request: null }]);
});
