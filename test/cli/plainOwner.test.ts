/** An owner who is no superuser, as on RDS. */
import { expect, test } from '@jest/globals';
import { createShop, INIT } from './shop.ts';

test('an ordinary owner protects, backs up, restores; rows that a policy hides are refused, not left out', async () => {
  const shop = await createShop();
  const { client } = shop;
  const role = `owner_${shop.database.name}`;
  await client.query(
    `create role ${role} login createdb password 'plain'; grant create on database ${shop.database.name} to ${role}`,
  );
  await client.query(`alter schema "Shop" owner to ${role}`);
  for (const table of ['"Mandant"', 'kunden', 'artikel', '"Aufträge"', '"Positionen"']) {
    await client.query(`alter table "Shop".${table} owner to ${role}`);
  }
  const url = new URL(shop.database.url);
  url.username = role;
  url.password = 'plain';
  const run = (...args: string[]) => shop.runWith({ url: url.href }, ...args);
  expect((await run(...INIT)).code).toBe(0);
  expect((await run('install')).code).toBe(0);
  expect(await run('backup', '--json')).toMatchObject({ code: 0, json: { proof: { ok: true } } });
  expect((await run('restore-point', 'create', 'good')).code).toBe(0);
  await client.query(`update "Shop"."Aufträge" set betrag = 0`);
  expect((await run('pitr', '-t', '2', '--point', 'good', '--json')).json.totals.updated).toBe(100);

  await client.query(`alter table "Shop".kunden enable row level security, force row level security`);
  await client.query(`create policy "some" on "Shop".kunden using (mandant = 1)`);
  expect((await run('backup', '--json')).json.error.code).toBe('HF_ROWS_HIDDEN');
  await client.query(`create policy holdfast on "Shop".kunden to ${role} using (true) with check (true)`);
  expect((await run('backup', '--no-prove')).code).toBe(0);
  await client.query(`drop schema holdfast cascade; drop owned by ${role} cascade`);
  await shop.database.drop();
}, 60_000);
