import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { transferTenant } from '../../core/restore/transfer/transfer.ts';
import type { TransferRequest } from '../../core/restore/transfer/types.ts';
import { addFirm, everything, random, shape } from './graph.ts';
import { graphWorld } from './world.ts';

let world: Awaited<ReturnType<typeof graphWorld>>;
let before: string[];
beforeAll(async () => {
  world = await graphWorld(`
    create table g.code (code text primary key, firm_id int not null references g.firm, label text not null);
    create table g.use (id serial primary key, code text not null references g.code, label text not null);
    create table g.blob (data jsonb, firm_id int not null references g.firm);
    create table g.mail (id serial primary key, firm_id int not null, address text not null, during int4range,
      ref uuid unique default gen_random_uuid(), node_id bigint references g.node,
      exclude using gist (during with &&));
    create unique index mail_lower on g.mail (lower(address)) where address <> '';`);
  for (const firm of [1, 2, 3]) await addFirm(world.client, firm, random(firm * 7));
  await world.client.query("insert into g.code values ('c1', 2, 'one'), ('c2', 2, 'two')");
  await world.client.query("insert into g.use (code, label) values ('c1', 'u'), ('c2', 'v')");
  await world.client.query(
    "insert into g.mail (firm_id, address, during) values (2, 'A@x', '[1,5)'), (2, '', null), (3, 'z@x', '[7,9)')",
  );
});
afterAll(() => world.drop());
beforeEach(async () => {
  before = await everything(world.client);
});

const MORE = ['g.code', 'g.use', 'g.blob', 'g.mail'];
const copy = (extra: Partial<TransferRequest> = {}) =>
  transferTenant(world.ctx, { from: '2', into: '3', asSystemAdministrator: true, except: MORE, ...extra });

test.each([
  ['HF_ADMINISTRATOR_ONLY', { asSystemAdministrator: false }],
  ['HF_TRANSFER_SAME', { into: '2' }],
  ['HF_TENANT_UNKNOWN', { into: '99' }],
  ['HF_TENANT_UNKNOWN', { from: '99' }],
  ['HF_TENANT_UNKNOWN', { from: "1' or true --" }],
  ['HF_TABLE_UNKNOWN', { tables: ['g.nod'] }],
  ['HF_TABLE_UNKNOWN', { except: ['node'] }],
  ['HF_TRANSFER_TABLE', { tables: ['g.kind'] }],
  ['HF_TRANSFER_TABLE', { except: ['g.firm'] }],
  ['HF_TRANSFER_REFERENCE', { except: ['g.node', ...MORE] }],
  ['HF_TRANSFER_KEY', { except: ['g.mail', 'g.blob'] }],
  ['HF_TRANSFER_CONFLICT', { tables: ['g.mail', 'g.node'], except: [] }],
  ['HF_PLAN_STALE', { fingerprint: 'other' }],
  ['HF_TIME_FUTURE', { moment: BigInt(Date.now() + 3_600_000) * 1000n }],
  ['HF_RESTORE_POINT_UNKNOWN', { restorePoint: 'never' }],
  ['HF_TARGET_AMBIGUOUS', { restorePoint: 'never', backup: 'x' }],
] as [string, Partial<TransferRequest>][])('%s, and nothing changes', async (code, extra) => {
  await expect(copy(extra)).rejects.toMatchObject({ code });
  expect(await everything(world.client)).toEqual(before);
  const { rows } = await world.client.query(
    "select tenant, result, detail ->> 'code' as code from holdfast.tenant_backup_logs where step = 'transfer' order by id desc limit 2",
  );
  const { from, into } = { from: '2', into: '3', ...extra };
  expect(rows.map((r) => r.tenant).sort()).toEqual([from, into].sort());
  expect(rows[0]).toMatchObject({ result: 'refused', code });
});

test('a role that does not own Holdfast is no administrator, whatever it says', async () => {
  const role = `clerk_${world.database.name}`;
  await world.client.query(`create role ${role} login password 'clerk'; grant usage on schema holdfast to ${role}`);
  const url = new URL(world.database.url);
  url.username = role;
  url.password = 'clerk';
  try {
    await expect(
      transferTenant({ ...world.ctx, databaseUrl: url.href }, { from: '2', into: '3', asSystemAdministrator: true }),
    ).rejects.toMatchObject({ code: 'HF_ADMINISTRATOR_ONLY' });
  } finally {
    await world.client.query(`drop owned by ${role}; drop role ${role}`);
  }
  expect(await everything(world.client)).toEqual(before);
});

test('every conflict is reported at once: plain and expression keys, exclusion constraints; new keys are none', async () => {
  const preview = await copy({ tables: ['g.mail', 'g.node'], except: [], preview: true });
  expect(preview.conflicts).toEqual([
    {
      table: 'g.mail',
      constraint: 'mail_during_excl',
      columns: ['during'],
      rows: 1,
      samples: [{ record: '1', value: '[1,5)', heldBy: '2' }],
    },
    {
      table: 'g.mail',
      constraint: 'mail_lower',
      columns: ['address'],
      rows: 1,
      samples: [{ record: '1', value: null, heldBy: '2' }],
    },
  ]);
  expect(preview.newKeys).toContainEqual({ table: 'g.mail', column: 'ref', how: 'default' });
  expect(await everything(world.client)).toEqual(before);
});

test('text keys take a prefix, and what points at them follows', async () => {
  const request = { tables: ['g.code', 'g.use'], except: [], textKeyPrefix: 'three-' };
  const { mapping } = await copy(request);
  expect(mapping).toContainEqual({ table: 'g.code', from: 'c1', into: 'three-c1' });
  const { rows } = await world.client.query(
    'select c.code, u.label from g.code c join g.use u on u.code = c.code where c.firm_id = 3 order by 1',
  );
  expect(rows).toEqual([
    { code: 'three-c1', label: 'u' },
    { code: 'three-c2', label: 'v' },
  ]);
});

test('what points at rows that are left out is emptied, and said', async () => {
  await world.client.query(
    "with n as (insert into g.node (firm_id, label) values (1, 'a'), (1, 'b') returning id) insert into g.mail (firm_id, address, node_id) select 1, '', id from n",
  );
  const done = await copy({ from: '1', tables: ['g.mail'], except: [] });
  expect(done.cleared).toMatchObject([{ table: 'g.mail', columns: ['node_id'], parent: 'g.node', rows: 2 }]);
  const after = await world.client.query(
    "select count(*)::int as rows, count(node_id)::int as n from g.mail where firm_id = 3 and address = ''",
  );
  expect(after.rows[0]).toEqual({ rows: 2, n: 0 });
});

test('both tenants can read what happened; persons know their copies; the copy is undone whole', async () => {
  const { client, ctx } = world;
  await client.query("insert into g.firm values (4, 'four')");
  const clean = await everything(client);
  const done = await copy({ into: '4', actor: { userId: 'root', email: 'root@x' } });
  expect(await shape(client, 4)).toEqual(await shape(client, 2));
  const logs = await client.query(
    "select tenant, detail ->> 'role' as role, detail ->> 'xid' as xid from holdfast.tenant_backup_logs where step = 'transfer' and result = 'ok' and detail ->> 'into' = '4' order by tenant",
  );
  expect(logs.rows).toEqual([
    { tenant: '2', role: 'copied from', xid: done.xid },
    { tenant: '4', role: 'copied into', xid: done.xid },
  ]);
  const trail = await client.query(
    "select distinct user_id, user_agent, action from holdfast.audit_trail where organization = '4' and xid = $1",
    [done.xid],
  );
  expect(trail.rows).toEqual([{ user_id: 'root', user_agent: 'holdfast transfer from tenant 2', action: 'insert' }]);
  const persons = await client.query(
    "select count(*)::int as n from holdfast.person_copies p join g.node a on a.id::text = p.person join g.node b on b.id::text = p.copy where p.tenant = '2' and p.copy_tenant = '4' and a.label = b.label and a.firm_id = 2 and b.firm_id = 4",
  );
  expect(persons.rows[0].n).toBe(done.persons);
  const { applyUndo } = await import('../../core/restore/undo/undo.ts');
  await applyUndo(ctx, { tenant: '4', scope: { kind: 'transactions', transactions: [done.xid!] } });
  expect(await everything(client)).toEqual(clean);
});
