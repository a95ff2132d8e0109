import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type pg from 'pg';
import { parseMoment } from '../../core/moment.ts';
import { backup } from '../../core/snapshot/backup.ts';
import { type OpenBackup, type OpenRequest, openBackup } from '../../core/snapshot/open/openBackup.ts';
import { openScratch } from '../../core/snapshot/open/scratch.ts';
import { eraseOne, type ProtectedSample, protectedSample } from '../restore/support.ts';

const AS_TEXT = { getTypeParser: () => (value: string) => value };

let sample: ProtectedSample;
let first: string;
let expectedFirst: unknown;
const scratch: OpenRequest['scratch'] = (schema) => openScratch(process.env.HOLDFAST_TEST_URL!, schema);

async function all(opened: OpenBackup, sql: string): Promise<(string | null)[][]> {
  const { rows } = await opened.query(sql, { timeout: 60_000 });
  const got: (string | null)[][] = [];
  for await (const row of rows) got.push([...row]);
  return got;
}

async function live(client: pg.Client, sql: string): Promise<unknown> {
  const { rows } = (await client.query({ text: sql, rowMode: 'array', types: AS_TEXT } as never)) as { rows: unknown };
  return rows;
}

/** A context without the database: it might as well be gone. */
async function open(request: Partial<OpenRequest> = {}): Promise<OpenBackup> {
  const { databaseUrl: _, ...alone } = sample.ctx;
  return openBackup(alone, { tenant: sample.tenants[0]!, scratch, ...request });
}

const refusal = (opened: OpenBackup, sql: string) =>
  all(opened, sql).then(
    () => ({ code: 'none', details: {} }),
    (error: { code: string; details: Record<string, unknown>; message: string; action: string }) => error,
  );

beforeAll(async () => {
  sample = await protectedSample({ tenants: 3, usersPerTenant: 4, entriesPerUser: 5 });
  const { client, ctx, tenants } = sample;
  expectedFirst = await live(
    client,
    `select id, display_name from public.users where organization_id = '${tenants[0]}' order by id`,
  );
  await backup(ctx, { type: 'full' });
  first = (await backup(ctx, { type: 'incremental' })).manifest.horizon;
  await client.query("update public.users set display_name = display_name || '!' where organization_id = $1", [
    tenants[0],
  ]);
  await client.query('delete from public.comments where id % 3 = 0');
  await client.query("insert into public.tags (organization_id, name) select id, 'new' from public.organizations");
  await backup(ctx, { type: 'transaction_log' });
}, 120_000);
afterAll(() => sample.drop());

test.each(['pglite', 'scratch'] as const)(
  '%s answers as the database does, and as it did',
  async (engine) => {
    const { client, tenants } = sample;
    const opened = await open({ engine });
    try {
      for (const [sql, own] of [
        [
          'select * from users order by id',
          `select * from public.users where organization_id = '${tenants[0]}' order by id`,
        ],
        [
          'select * from tags order by id',
          `select * from public.tags where organization_id = '${tenants[0]}' order by id`,
        ],
        [
          'select c.* from comments c join journal_entries e on e.id = c.entry_id order by c.id',
          `select c.* from public.comments c join public.journal_entries e on e.id = c.entry_id where e.organization_id = '${tenants[0]}' order by c.id`,
        ],
        ['select * from countries order by code', 'select * from public.countries order by code'],
      ] as const) {
        expect(await all(opened, sql)).toEqual(await live(client, own));
      }
      expect(opened.loaded).toEqual([
        'public.comments',
        'public.countries',
        'public.journal_entries',
        'public.tags',
        'public.users',
      ]);
      const { columns, rows } = await opened.query('select 1 as a, 2 as a, now()::date, null');
      expect(columns.map((c) => c.type)).toEqual(['integer', 'integer', 'date', 'text']);
      for await (const row of rows) expect(row).toHaveLength(4);
    } finally {
      await opened.close();
    }
    if (engine === 'scratch') return;
    const before = await open({ engine, moment: parseMoment(first) });
    try {
      expect(await all(before, 'select id, display_name from users order by id')).toEqual(expectedFirst);
    } finally {
      await before.close();
    }
  },
  120_000,
);

test('what writes, is wrong, or reaches further is refused by name', async () => {
  const opened = await open();
  try {
    for (const sql of [
      'delete from users',
      '  -- gone\n insert into tags default values',
      'with d as (delete from users returning *) select * from d',
      'select * from users for update',
      "copy users to program 'cat'",
      'create table x ()',
    ]) {
      expect([sql, (await refusal(opened, sql)).code]).toEqual([sql, 'HF_QUERY_READ_ONLY']);
    }
    const typo = await refusal(opened, 'select id\n  frm users');
    expect(typo).toMatchObject({ code: 'HF_QUERY_INVALID', details: { sqlstate: '42601', line: 2 } });
    const named = await refusal(opened, 'select * from userz');
    expect(named.code).toBe('HF_QUERY_INVALID');
    expect((named as { action: string }).action).toContain('users');
    expect((await refusal(opened, 'select 1; select 2')).code).toBe('HF_QUERY_INVALID');
    expect((await refusal(opened, ') q; drop table public.users; select (1')).code).toBe('HF_QUERY_INVALID');
    expect((await refusal(opened, ' ; ')).code).toBe('HF_QUERY_INVALID');
    expect((await refusal(opened, 'select 1 / 0')).code).toBe('HF_QUERY_FAILED');
    expect((await refusal(opened, "select pg_read_file('/etc/passwd')")).code).toBe('HF_QUERY_DENIED');
    expect(await all(opened, 'select count(*) > 0 from users')).toEqual([['t']]);
  } finally {
    await opened.close();
  }
}, 60_000);

test('a query that does not end is ended, and the next one works', async () => {
  const opened = await open();
  try {
    const { client } = sample;
    const endless = opened.query('select count(*) from generate_series(1, 2000000000)', { timeout: 1000 });
    await expect(endless).rejects.toMatchObject({ code: 'HF_QUERY_TIMEOUT' });
    expect(await all(opened, 'select count(*) from countries')).toEqual(
      await live(client, 'select count(*) from public.countries'),
    );
  } finally {
    await opened.close();
  }
}, 60_000);

test('unknown tenants and moments out of reach are refused', async () => {
  await expect(open({ tenant: 'nobody' })).rejects.toMatchObject({ code: 'HF_TENANT_UNKNOWN' });
  const early = open({ moment: parseMoment('2001-01-01T00:00:00Z') });
  await expect(early).rejects.toMatchObject({ code: 'HF_TIME_UNREACHABLE', details: { nearest: { before: null } } });
});

test('erased persons stay erased', async () => {
  const { tenants, ctx } = sample;
  const { person, ledger } = await eraseOne(sample);
  const opened = await openBackup({ ...ctx, ledger }, { tenant: tenants[0]!, scratch });
  try {
    expect(await all(opened, `select id from users where id = '${person}'`)).toEqual([]);
    expect(opened.erased).toBe(1);
  } finally {
    await opened.close();
  }
}, 60_000);
