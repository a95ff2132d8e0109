/** What a new user does, from the first command to the last, on a database that Holdfast has never seen. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { createDatabase } from '../support/database.ts';
import { createShop, digest, INIT } from './shop.ts';

test('protect, back up, damage, preview, restore, lose everything, bring it back', async () => {
  const shop = await createShop();
  const { run, client, cwd } = shop;
  const before = await digest(client);

  const init = await run(...INIT, '--json');
  expect(init.stderr).toBe('');
  expect(init).toMatchObject({ code: 0, json: { tables: 5, newKey: true } });
  const path = join(cwd, 'holdfast.yaml');
  const yaml = await readFile(path, 'utf8');
  expect(yaml).toContain('tenant: via kunde -> "Shop".kunden(id)');
  // The review: a note is about a person, whatever its name says.
  expect((await run(...INIT)).code).toBe(1); // never over an edited file
  await writeFile(path, yaml.replace('internal: [id, mandant]', 'internal: [id, mandant] # reviewed'));

  expect((await run('install', '--json')).json).toMatchObject({ tables: { length: 5 } });
  const doctor = await run('doctor', '--json');
  expect({ code: doctor.code, errors: doctor.json.findings }).toMatchObject({ code: 0, errors: expect.anything() });
  const backup = await run('backup', '--json');
  expect(backup).toMatchObject({ code: 0, json: { type: 'full', proof: { ok: true } } });
  expect((await run('restore-point', 'create', "Bob's import", '-t', '2')).code).toBe(0);

  const good = await digest(client);
  const others = () =>
    client.query(`select md5(string_agg(a::text, ',' order by a::text)) from "Shop"."Aufträge" a
                    join "Shop".kunden k on k.id = a.kunde where k.mandant <> 2`);
  await client.query(`update "Shop"."Aufträge" set betrag = 0, notiz = 'kaputt' || E'\\e[31m' where kunde in
                        (select id from "Shop".kunden where mandant = 2 order by id limit 5)`);
  await client.query('delete from "Shop".kunden where id = (select max(id) from "Shop".kunden where mandant = 2)');
  const bystanders = await others();

  const target = ['-t', '2', '--point', "Bob's import"];
  const preview = await run('pitr', ...target, '--preview');
  expect(preview.code).toBe(0);
  expect(preview.stdout).toContain('"Shop"."Aufträge"');
  expect(preview.stdout).toMatch(/betrag +0\.00 → \d+\.\d\d/);
  expect(preview.stdout).toMatch(/and \d+ more/);
  expect(preview.stdout).toContain(`--point 'Bob'\\''s import'`);
  // In a pipe: no colour, and nothing that was stored can drive a terminal.
  expect(preview.stdout).not.toContain('\u001b');
  expect(preview.stderr).toBe('');
  const fingerprint = /--fingerprint ([0-9a-f]{64})/.exec(preview.stdout)![1]!;

  const restored = await run('pitr', ...target, '--fingerprint', fingerprint, '--json');
  expect(restored).toMatchObject({
    code: 0,
    json: { tenant: '2', source: 'live', totals: { inserted: expect.any(Number) } },
  });
  expect(await digest(client)).toBe(good);
  expect((await others()).rows).toEqual(bystanders.rows);

  await client.query(`update "Shop".kunden set email = 'neu@example.com' where id = 1`);
  const incremental = await run('backup', '--type', 'incremental', '--no-prove', '--json');
  expect(incremental).toMatchObject({ code: 0, json: { type: 'incremental', totals: { rows: 0 } } });
  const list = await run('list', '-t', '2', '--json');
  expect(list).toMatchObject({
    code: 0,
    json: { source: 'catalog', backups: [{ type: 'incremental' }, { type: 'full' }] },
  });
  const validation = await run('validate', '-p', backup.json.backup, '--deep');
  expect(validation).toMatchObject({ code: 0, stdout: expect.stringContaining('Sound') });
  const drift = await run('schema-drift', backup.json.backup, incremental.json.backup, '--json');
  expect(drift).toMatchObject({ code: 0, json: { differences: [] } });
  expect((await run('prune', '--preview', '--json')).json).toMatchObject({
    dropped: [],
    archivedBy: incremental.json.backup,
  });
  const cleanup = await run('cleanup', '--preview', '--json');
  expect(cleanup).toMatchObject({ code: 0, json: { remove: [] } });
  expect((await run('maintain', '--json')).code).toBe(0);

  const whole = await digest(client);
  await shop.database.drop();
  const gone = await run('list', '--json');
  expect(gone).toMatchObject({
    code: 0,
    json: { source: 'store', note: expect.stringContaining('HF_DATABASE_UNREACHABLE') },
  });
  expect(gone.json.backups.map((b: { id: string }) => b.id)).toEqual([incremental.json.backup, backup.json.backup]);

  const target2 = await createDatabase();
  const url = { url: undefined };
  const rebuilt = await shop.runWith(url, 'restore-database', '--target-url', target2.url, '--json');
  expect(rebuilt).toMatchObject({
    code: 0,
    json: { tables: 5, backups: [backup.json.backup, incremental.json.backup] },
  });
  expect(rebuilt.stderr).toContain('a password on the command line');
  const second = await target2.client();
  expect(await digest(second)).toBe(whole);

  const there = { url: target2.url };
  expect((await shop.runWith(there, 'catalog', 'rebuild', '--json')).json.backups).toBe(2);
  expect((await shop.runWith(there, 'uninstall')).code).toBe(2);
  expect((await shop.runWith(there, 'uninstall', '--yes')).code).toBe(0);
  await second.query(`update "Shop".kunden set email = 'kunde1@example.com' where id = 1`);
  expect(await digest(second)).toBe(before);
  await target2.drop();
}, 120_000);
