/** The audit commands as a person calls them. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { createShop, INIT } from '../cli/shop.ts';

test('maintain seals; verify, export and the bundle agree; tampering exits 1; bad options exit 2', async () => {
  const { run, client, cwd, database } = await createShop();
  expect((await run(...INIT, '--json')).code).toBe(0);
  expect((await run('install', '--json')).code).toBe(0);
  await client.query(`update "Shop".kunden set email = 'x' || email`);
  expect(await run('maintain', '--json')).toMatchObject({ code: 0, json: { sealed: { rows: 30, anchored: 1 } } });
  const verified = await run('audit', 'verify', '--json');
  expect(verified).toMatchObject({ code: 0, stderr: '', json: { ok: true, rows: 30, anchored: 1 } });
  const { number, sha256 } = verified.json.head;
  expect((await run('audit', 'verify', '--head', `${number}:${sha256}`)).stdout).toContain('Sound');

  await writeFile(join(cwd, 'keys.pem'), (await run('audit', 'public-key')).stdout);
  expect(await run('audit', 'export', '-t', '2', '--out', 'bundle', '--json')).toMatchObject({
    code: 0,
    json: { rows: 10 },
  });
  const offline = await run('audit', 'verify', '--bundle', 'bundle', '--public-key', 'keys.pem', '--json');
  expect(offline).toMatchObject({ code: 0, json: { ok: true, rows: 10, tenant: '2' } });

  await client.query(`update holdfast.trail set user_id = 'mallory' where seq = (select min(seq) from holdfast.trail)`);
  const found = await run('audit', 'verify');
  expect(found.code).toBe(1);
  expect(found.stdout).toMatch(/edited Change \d+ \("Shop"\.kunden|edited Change \d+ \("Shop".kunden/);
  expect(found.stdout).toContain('Tampered with');

  expect((await run('audit', 'verify', '--head', 'x', '--json')).json.error.code).toBe('HF_ARGUMENT_INVALID');
  expect((await run('audit', 'verify', '--bundle', 'bundle', '--json')).code).toBe(2);
  expect((await run('audit', 'export', '-t', 'nobody', '--out', 'b2', '--json')).json.error.code).toBe(
    'HF_AUDIT_NO_CHAIN',
  );
  await client.end();
  await database.drop();
}, 60_000);
