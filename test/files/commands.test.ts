/** The command line, as a person uses it. */
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { holdfast, listing } from '../cli/run.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { temporaryDirectory } from '../support/temporary.ts';

let database: TestDatabase;
let cwd: string;
const run = (...args: string[]) => holdfast(args, { cwd, url: database.url });

beforeAll(async () => {
  database = await createDatabase();
  cwd = await temporaryDirectory();
  const client = await database.client();
  await client.query(`
    create table public.clubs (id text primary key);
    create table public.people (id text primary key, club_id text not null references public.clubs);
    create table public.uploads (id int primary key, person_id text not null references public.people, path text);
    create index on public.uploads (person_id);
    insert into public.clubs values ('a'), ('b');
    insert into public.people values ('ann', 'a'), ('bob', 'b');
    insert into public.uploads values (1, 'ann', 'ann/1.txt'), (2, 'ann', 'ann/2.txt'), (3, 'bob', 'bob/1.txt'), (4, 'bob', null)`);
  await writeFile(
    join(cwd, 'holdfast.yaml'),
    `version: 1
tenant: public.clubs(id)
person: public.people(id)
files:
  uploads: {from: ./uploads, table: uploads, column: path}
tables:
  public.clubs: {tenant: id, columns: {none: [id]}}
  public.people: {tenant: club_id, person: id, columns: {none: [id, club_id]}}
  public.uploads: {tenant: via person_id, person: person_id, columns: {none: [id, person_id], personal: [path]}}
`,
  );
  for (const path of ['ann/1.txt', 'ann/2.txt', 'bob/1.txt']) await put(path, `first ${path}`);
  const { KeyFile } = await import('../../adapters/local/keyFile.ts');
  await KeyFile.create(join(cwd, 'holdfast.key'));
  expect(await run('install', '--json')).toMatchObject({ code: 0 });
}, 60_000);
afterAll(() => database.drop());

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(cwd, 'uploads', path)), { recursive: true });
  await writeFile(join(cwd, 'uploads', path), text);
}
const get = (path: string) => readFile(join(cwd, path), 'utf8');

test('back up, look, lose, preview, restore, clean up', async () => {
  const first = await run('files', 'backup', '--json');
  expect(first).toMatchObject({ code: 0, json: { totals: { files: 3, read: 3, stored: 3 }, tenants: 2 } });
  const then = new Date().toISOString();
  await put('ann/1.txt', 'second');
  await rm(join(cwd, 'uploads/ann/2.txt'));
  const second = await run('files', 'backup');
  expect(second.code).toBe(1);
  expect(second.stdout).toContain('missing uploads ann/2.txt of a; the last good content stays restorable');

  const runs = await run('files', 'list', '--json');
  expect(runs.json.runs).toHaveLength(2);
  const listed = await run('files', 'list', '-t', 'a', '--target-time', then, '--json');
  expect(listed.json.files).toMatchObject([{ path: 'ann/1.txt' }, { path: 'ann/2.txt' }]);
  expect((await run('files', 'check', '--all', '--deep')).stdout).toContain('Sound');

  const before = await listing(cwd);
  const preview = await run('files', 'restore', '-t', 'a', '--target-time', then, '--preview', '--json');
  expect(preview).toMatchObject({ code: 0, json: { files: [{ action: 'replace' }, { action: 'create' }] } });
  const refused = await run('files', 'restore', '-t', 'a', '--target-time', then, '--json');
  expect(refused).toMatchObject({ code: 1, json: { error: { code: 'HF_FILE_CONFLICT' } } });
  expect(await listing(cwd)).toEqual(before);

  const done = await run('files', 'restore', '-t', 'a', '--target-time', then, '--force', '--json');
  expect(done).toMatchObject({ code: 0, json: { failed: [] } });
  expect(await get('uploads/ann/1.txt')).toBe('first ann/1.txt');
  expect(await get('uploads/ann/2.txt')).toBe('first ann/2.txt');
  expect(await get(`uploads/${done.json.files[0].kept}`)).toBe('second');

  const out = await holdfast(['files', 'restore', '-t', 'b', '--to', './out', '--path', 'bob/1.txt'], { cwd });
  expect(out).toMatchObject({ code: 0 });
  expect(await get('out/uploads/bob/1.txt')).toBe('first bob/1.txt');
  expect((await stat(join(cwd, 'out/uploads/bob/1.txt'))).mode & 0o777).toBe(0o600);

  const held = await run('hold', 'set', first.json.id, '--reason', 'a case', '--json');
  expect(held).toMatchObject({ code: 0, json: { backup: first.json.id, held: true } });
  const cleaned = await run('files', 'cleanup', '--preview', '--json');
  expect(cleaned).toMatchObject({ code: 0, json: { remove: [], preview: true } });
}, 60_000);

test('doctor looks at the sets', async () => {
  const text = await get('holdfast.yaml');
  const found = async () =>
    (await run('doctor', '--json')).json.findings.filter((f: { table?: string }) => f.table === 'public.uploads');
  expect(await found()).toEqual([]);
  await writeFile(join(cwd, 'holdfast.yaml'), text.replace('column: path}', 'column: pfad}'));
  expect(await found()).toMatchObject([{ code: 'HF_COLUMN_UNKNOWN', severity: 'error' }]);
  await writeFile(join(cwd, 'holdfast.yaml'), text.replace(', person: person_id', ''));
  expect(await found()).toContainEqual(expect.objectContaining({ code: 'HF_FILES_PERSON', severity: 'warning' }));
  await writeFile(join(cwd, 'holdfast.yaml'), text);
}, 60_000);

test('wrong input changes nothing and says what to do', async () => {
  const before = await listing(cwd);
  for (const [code, exit, ...args] of [
    ['HF_TENANT_UNKNOWN', 1, 'backup', '-t', 'nobody'],
    ['HF_FILE_SET_UNKNOWN', 1, 'list', '-t', 'a', '--set', 'upload'],
    ['HF_TIME_INVALID', 2, 'list', '-t', 'a', '--target-time', 'yesterday'],
    ['HF_FILE_UNKNOWN', 1, 'restore', '-t', 'a', '--path', 'bob/1.txt'],
    ['HF_ARGUMENT_INVALID', 2, 'restore', '-t', 'a', '--force', '--skip-existing'],
  ] as const) {
    const ran = await run('files', ...args, '--json');
    expect(ran).toMatchObject({ code: exit, json: { error: { code, action: expect.stringMatching(/./) } } });
  }
  expect(await listing(cwd)).toEqual(before);
  expect(await readdir(cwd)).not.toContain('upload');
}, 60_000);

test.each([
  ['{from: ./x, table: uploads}', 'column'],
  ['{from: ./x, table: uploads, column: path, colour: red}', 'colour'],
  ['[uploads]', 'where the files of uploads are'],
  ['{from: "", table: uploads, column: path}', 'from'],
])('files: %s is refused', async (text, message) => {
  const { parseSettings } = await import('../../core/datamap/settings.ts');
  const yaml = (await get('holdfast.yaml')).replace(/uploads: \{from.*\}/, `uploads: ${text}`);
  expect(() => parseSettings(yaml)).toThrow(expect.objectContaining({ code: 'HF_MAP_INVALID' }));
  expect(() => parseSettings(yaml)).toThrow(message);
});
