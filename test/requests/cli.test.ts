/** Requests, maintenance and copies as people type them, on a database with names that need quotes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from '@jest/globals';
import { createShop, digest, INIT, type Shop } from '../cli/shop.ts';

let shop: Shop;
beforeAll(async () => {
  shop = await createShop();
  expect((await shop.run(...INIT)).code).toBe(0);
  expect((await shop.run('install')).code).toBe(0);
});

const SUM = `select sum(betrag)::text as sum from "Shop"."Aufträge" a join "Shop".kunden k on k.id = a.kunde where k.mandant = $1`;
const sum = async (tenant: number): Promise<string> => (await shop.client.query(SUM, [tenant])).rows[0].sum;
const spoil = () =>
  shop.client.query(
    'update "Shop"."Aufträge" a set betrag = 0 from "Shop".kunden k where k.id = a.kunde and k.mandant = 2',
  );

test('asked for, approved by another, applied, taken back', async () => {
  const { run } = shop;
  const good = await sum(2);
  const other = await sum(1);
  expect((await run('restore-point', 'create', "Bob's import", '-t', '2')).code).toBe(0);
  await spoil();
  const bad = await sum(2);
  const asked = await run(
    'restores',
    'request',
    '-t',
    '2',
    '--point',
    "Bob's import",
    '--reason',
    'zeroes',
    '--by',
    'ann@x',
  );
  expect(asked).toMatchObject({ code: 0, stderr: '' });
  expect(asked.stdout).toMatch(/○ *\n? *|requested/);
  expect(asked.stdout).toContain('whole tenant to restore point "Bob\'s import"');
  expect(asked.stdout).toMatch(/betrag +0\.00 → \d/);
  expect(asked.stdout).toContain('holdfast restores approve 1 --by <another person>');
  expect(asked.stdout).not.toContain('\u001b');

  const own = await run('restores', 'approve', '1', '--by', 'ann@x', '--json');
  expect(own).toMatchObject({ code: 1, json: { error: { code: 'HF_FOUR_EYES' } } });
  expect((await run('restores', 'approve', '1', '--by', 'ben@x', '--reason', 'looked at it')).code).toBe(0);
  const applied = await run('restores', 'apply', '1', '--by', 'ann@x', '--json');
  expect(applied).toMatchObject({ code: 0, json: { request: { state: 'applied', decidedBy: 'ben@x' } } });
  expect([await sum(2), await sum(1)]).toEqual([good, other]);

  const list = await run('restores', 'list', '-t', '2');
  expect(list.stdout).toMatch(/1 +●─●─● applied +2 +whole tenant/);
  const shown = await run('restores', 'show', '1');
  expect(shown.stdout).toMatch(/●─+●─+●\n +requested +approved +applied\n +ann@x +ben@x +ann@x\n/);
  const preview = await run('restores', 'undo', '1', '--preview', '--json');
  expect(preview).toMatchObject({ code: 0, json: { violations: [] } });
  const undone = await run('restores', 'undo', '1', '--by', 'cay@x', '--fingerprint', preview.json.fingerprint);
  expect(undone).toMatchObject({ code: 0 });
  expect(undone.stdout).toMatch(/undone/);
  expect(await sum(2)).toBe(bad);
});

test('a run that is killed changes nothing, is settled, and leaves no maintenance behind', async () => {
  const { run, runWith, client, database } = shop;
  await client.query('update "Shop"."Aufträge" set betrag = 5 where betrag = 0');
  expect((await run('restore-point', 'create', 'good', '-t', '2')).code).toBe(0);
  await spoil();
  const bad = await digest(client);
  const { json } = await run(
    'restores',
    'request',
    '-t',
    '2',
    '--point',
    'good',
    '--reason',
    'r',
    '--by',
    'a',
    '--maintenance',
    '--json',
  );
  const { id } = json.request;
  expect((await run('restores', 'approve', id, '--by', 'b')).code).toBe(0);
  const holder = await database.client();
  await holder.query('begin; select from "Shop"."Aufträge" for update');
  const killed = runWith(
    {
      onStart: async (child) => {
        for (;;) {
          const { rows } = await client.query(
            "select from pg_stat_activity where application_name = 'holdfast-restore' and wait_event_type = 'Lock' and datname = current_database()",
          );
          if (rows.length > 0) break;
          await sleep(30);
        }
        const during = await run('maintenance', 'status', '-t', '2', '--json');
        expect(during.json).toMatchObject({ maintenance: [{ request: id, tenant: '2' }] });
        child.kill('SIGKILL');
      },
    },
    'restores',
    'apply',
    id,
    '--by',
    'a',
    '--wait',
    '1s',
  );
  expect((await killed).code).toBeNull();
  await holder.query('rollback');
  const shown = await run('restores', 'show', id, '--json');
  expect(shown.json.request).toMatchObject({ state: 'failed', error: { code: 'HF_REQUEST_KILLED' } });
  expect((await run('maintenance', 'status')).stdout).toContain('No tenant is in maintenance.');
  expect(await digest(client)).toBe(bad);
});

test('maintenance by hand', async () => {
  const { run, client } = shop;
  const on = await run('maintenance', 'on', '-t', '3', '--for', '2h', '--reason', 'moving', '--by', 'ann', '--json');
  expect(on).toMatchObject({ code: 0, json: { tenant: '3', reason: 'moving', stillOpen: 0 } });
  await expect(client.query('update "Shop".kunden set email = email || 1 where mandant = 3')).rejects.toMatchObject({
    code: 'HF003',
    message: 'tenant 3 is in maintenance: moving',
  });
  expect((await run('maintenance', 'off', '-t', '3')).stdout).toContain('can be written again');
  expect((await run('maintenance', 'off', '-t', '77', '--json')).json.error.code).toBe('HF_TENANT_UNKNOWN');
});

test('a copy into another tenant: previewed, done, and refused where it must be', async () => {
  const { run, client } = shop;
  const before = await digest(client);
  const words = ['transfer', '--from', '1', '--into', '3'];
  const admin = [...words, '--as-system-administrator'];
  const preview = await run(...admin, '--preview');
  expect(preview).toMatchObject({ code: 0, stderr: '' });
  expect(preview.stdout).toMatch(/"Shop"\.kunden +10 +id: the next of its sequence +\d+ → \d+/);
  expect(preview.stdout).toContain('personal data of 10 persons would stand in both tenants');
  expect(preview.stdout).toContain('holdfast transfer --from 1 --into 3 --as-system-administrator');
  expect(await digest(client)).toBe(before);
  const fingerprint = /--fingerprint ([0-9a-f]{64})/.exec(preview.stdout)![1]!;
  const done = await run(...admin, '--fingerprint', fingerprint);
  expect(done.code).toBe(0);
  const back = /^To undo: holdfast (undo -t 3 --transactions \d+)$/m.exec(done.stdout)![1]!;
  const undone = await run(...back.split(' '), '--json');
  expect(undone).toMatchObject({ code: 0, json: { tables: { '"Shop".kunden': { deleted: 10 } } } });
  expect(await digest(client)).toBe(before);
  expect((await run(...admin, '--json')).json.tables['"Shop".kunden']).toMatchObject({ inserted: 10 });
  const again = await run(...admin, '--preview');
  expect(again.code).toBe(1);
  expect(again.stdout).toContain('HF_TRANSFER_CONFLICT');
  expect(again.stdout).toContain('a personal value is held by 3');
});
