import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRestorePoint } from '../../core/history/restorePoints.ts';
import { type Digests, tenantDigest } from '../../core/restore/digest.ts';
import { restoreTenant } from '../../core/restore/tenant.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { type ProtectedSample, protectedSample } from './support.ts';

let sample: ProtectedSample;
let hurt: string;
let other: string;
beforeAll(async () => {
  sample = await protectedSample({ tenants: 3, usersPerTenant: 4, entriesPerUser: 6 });
  [hurt, other] = sample.tenants as [string, string];
});
afterAll(() => sample.drop());

const digests = async (): Promise<Record<string, Digests>> => {
  const all: Record<string, Digests> = {};
  for (const tenant of sample.tenants) all[tenant] = await tenantDigest(sample.client, sample.bound, tenant);
  return all;
};

async function damage(): Promise<void> {
  const { client } = sample;
  await client.query('begin');
  await client.query("update public.users set email = 'x' || email, team_id = null where organization_id = $1", [hurt]);
  await client.query('update public.teams set lead_id = null where organization_id = $1', [hurt]);
  await client.query(
    'delete from public.users where id in (select id from public.users where organization_id = $1 order by id limit 2)',
    [hurt],
  );
  await client.query('delete from public.folders where organization_id = $1', [hurt]);
  await client.query("update public.journal_entries set body = '', mood = 'bleak' where organization_id = $1", [hurt]);
  await client.query("insert into public.tags (organization_id, name) values ($1, 'junk') on conflict do nothing", [
    hurt,
  ]);
  await client.query("update public.organizations set name = 'gone' where id = $1", [hurt]);
  await client.query('commit');
}

test.each(['live', 'store'] as const)('a damaged tenant comes back exactly, beside the others (%s)', async (source) => {
  const { client, ctx } = sample;
  if (source === 'store') await backup(ctx, { type: 'full' });
  const before = await digests();
  const point = await createRestorePoint(client, { name: `good ${source}`, tenant: hurt });
  await damage();
  await client.query("update public.users set display_name = display_name || ' II' where organization_id = $1", [
    other,
  ]);
  const damaged = await digests();
  if (source === 'store') await backup(ctx, { type: 'transaction_log' });

  const request = { tenant: hurt, restorePoint: point.name, source };
  const preview = await restoreTenant(ctx, { ...request, preview: true });
  expect(await digests()).toEqual(damaged);
  expect(preview.violations).toEqual([]);
  expect(preview.totals.inserted).toBeGreaterThan(0);
  expect(preview.tables['public.tags']).toEqual({ inserted: 0, updated: 0, deleted: 1 });
  expect(preview.suspended).toContainEqual({ table: 'public.journal_entries', trigger: 'touch_updated_at' });

  const result = await restoreTenant(ctx, { ...request, fingerprint: preview.fingerprint });
  expect({ ...result, restorePoint: null, xid: null, preview: true }).toEqual(preview);
  const after = await digests();
  expect(after[hurt]).toEqual(before[hurt]);
  expect(after[other]).toEqual(damaged[other]);

  // The restore is in the trail, so it can be undone.
  await restoreTenant(ctx, { tenant: hurt, restorePoint: result.restorePoint! });
  expect(await digests()).toEqual(damaged);
  await restoreTenant(ctx, request);
  expect((await digests())[hurt]).toEqual(before[hurt]);
});

test('bad targets are refused, each with one clear error, and nothing changes', async () => {
  const { ctx } = sample;
  const before = await digests();
  const now = BigInt(Date.now()) * 1000n;
  await expect(restoreTenant(ctx, { tenant: 'nobody', moment: now })).rejects.toMatchObject({
    code: 'HF_TENANT_UNKNOWN',
  });
  await expect(restoreTenant(ctx, { tenant: hurt, moment: now + 3_600_000_000n })).rejects.toMatchObject({
    code: 'HF_TIME_FUTURE',
  });
  await expect(restoreTenant(ctx, { tenant: hurt, moment: now - 86_400_000_000n })).rejects.toMatchObject({
    code: 'HF_TIME_UNREACHABLE',
    details: { nearest: { before: null } },
  });
  await expect(restoreTenant(ctx, { tenant: hurt, restorePoint: 'never' })).rejects.toMatchObject({
    code: 'HF_RESTORE_POINT_UNKNOWN',
  });
  await expect(restoreTenant(ctx, { tenant: hurt, moment: now, fingerprint: 'stale' })).rejects.toMatchObject({
    code: 'HF_PLAN_STALE',
  });
  const { rows } = await sample.client.query(
    "select result, detail ->> 'code' as code from holdfast.tenant_backup_logs where step = 'restore' and tenant = $1 order by id desc limit 1",
    [hurt],
  );
  expect(rows).toEqual([{ result: 'refused', code: 'HF_PLAN_STALE' }]);
  expect(await digests()).toEqual(before);
});

test('a row with dependents that was given to another person comes back', async () => {
  const { client, ctx } = sample;
  const point = await createRestorePoint(client, { name: 'before the hand-over', tenant: hurt });
  const before = await digests();
  const moved = await client.query(
    `update public.journal_entries e set author_id = (select u.id from public.users u
        where u.organization_id = e.organization_id and u.id <> e.author_id limit 1)
      where organization_id = $1 and exists (select from public.entry_tags t where t.entry_id = e.id)`,
    [hurt],
  );
  expect(moved.rowCount).toBeGreaterThan(0);
  await restoreTenant(ctx, { tenant: hurt, restorePoint: point.name });
  expect(await digests()).toEqual(before);
});

test('history is carried across renamed and added columns, and refused by name across a dropped or retyped one', async () => {
  const { client, ctx, bound } = sample;
  const { manifest } = await backup(ctx, { type: 'full' });
  const point = await createRestorePoint(client, { name: 'old shape', tenant: hurt });
  const titles = 'select id, title from public.journal_entries where organization_id = $1 order by id';
  const before = (await client.query(titles, [hurt])).rows;
  await client.query("update public.journal_entries set title = 'lost' where organization_id = $1", [hurt]);
  await client.query('delete from public.journal_entries where id = $1', [before[0].id]);
  await client.query('alter table public.journal_entries add column stars integer default 3');
  await client.query('alter table public.journal_entries rename column title to heading');
  await client.query("update public.journal_entries set heading = 'lost again', stars = 5 where organization_id = $1", [
    hurt,
  ]);
  const map = {
    ...ctx.map,
    tables: ctx.map.tables.map((t) => {
      if (t.name !== 'public.journal_entries') return t;
      const { title, ...columns } = t.columns;
      return { ...t, columns: { ...columns, heading: title!, stars: { class: 'none', sealed: false } as const } };
    }),
  };
  const now = { ...ctx, map };
  expect(bound.tables.length).toBe(map.tables.length);
  for (const source of ['live', 'store'] as const) {
    await restoreTenant(now, {
      tenant: hurt,
      ...(source === 'live' ? { restorePoint: point.name } : { backup: manifest.id }),
      source,
    });
    const { rows } = await client.query(titles.replace('title', 'heading as title, stars'), [hurt]);
    expect(rows.map(({ id, title }) => ({ id, title }))).toEqual(before);
    expect(rows[0].stars).toBe(3);
    await client.query("update public.journal_entries set heading = 'lost again' where organization_id = $1", [hurt]);
  }
  await client.query('alter table public.journal_entries drop column stars');
  await client.query('alter table public.journal_entries rename column heading to title');
  await restoreTenant(ctx, { tenant: hurt, restorePoint: point.name });
  expect((await client.query(titles, [hurt])).rows).toEqual(before);
  await client.query('alter table public.activity_events drop column details');
  await expect(restoreTenant(ctx, { tenant: hurt, restorePoint: point.name })).rejects.toMatchObject({
    code: 'HF_SCHEMA_CHANGED',
    details: { table: 'public.activity_events', columns: ['details'] },
  });
  await restoreTenant(ctx, { tenant: hurt, restorePoint: point.name, droppedColumns: 'ignore' });
});
