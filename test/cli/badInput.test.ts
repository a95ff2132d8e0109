/** Whatever is wrong with the input: one error with a code and a remedy, the exit code for it, and nothing changed. */
import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connect } from '../../core/sql.ts';
import { createDatabase } from '../support/database.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { holdfast, listing, type RunOptions } from './run.ts';
import { createShop, digest, INIT, type Shop } from './shop.ts';

let shop: Shop;
let backup: string;
let incremental: string;

beforeAll(async () => {
  shop = await createShop();
  await shop.run(...INIT);
  await shop.run('install');
  backup = (await shop.run('backup', '--no-prove', '--json')).json.backup;
  await shop.client.query(`update "Shop".artikel set titel = 'neu'`);
  await shop.client.query(`update "Shop".kunden set email = 'neu' || email`);
  incremental = (await shop.run('backup', '--no-prove', '--json', '--type', 'incremental')).json.backup;
}, 60_000);
afterAll(() => shop.database.drop());

/** Runs it for a program and for a person: both must be told the same, and neither may change anything. */
async function refused(code: string, args: string[], options: Partial<RunOptions> & { exit?: number } = {}) {
  const before = [await digest(shop.client), await listing(shop.cwd)];
  const { exit = 1, ...rest } = options;
  const ran = await shop.runWith(rest, ...args, '--json');
  expect(ran.json?.error).toMatchObject({
    code,
    message: expect.stringMatching(/./),
    action: expect.stringMatching(/./),
  });
  expect(ran.code).toBe(exit);
  expect(ran.stdout.trimEnd().split('\n')).toHaveLength(1);
  expect([await digest(shop.client), await listing(shop.cwd)]).toEqual(before);
  return ran.json.error;
}

const withUrl = (change: (url: URL) => void): string => {
  const url = new URL(shop.database.url);
  change(url);
  return url.href;
};
const pitr = (...args: string[]) => ['pitr', '-t', '2', ...args];

describe('the database', () => {
  test('a wrong URL', async () => {
    await refused('HF_DATABASE_URL', ['doctor'], { url: undefined, exit: 2 });
    await refused('HF_DATABASE_URL', ['backup'], { url: 'mysql//nowhere', exit: 2 });
    await refused('HF_DATABASE_UNREACHABLE', ['backup'], {
      url: withUrl((u) => {
        u.port = '1';
      }),
    });
    await refused('HF_DATABASE_UNREACHABLE', ['backup'], {
      url: withUrl((u) => {
        u.pathname = '/nowhere';
      }),
    });
    const { message } = await refused('HF_DATABASE_AUTH', ['backup'], {
      url: withUrl((u) => {
        u.password = 'wrong';
      }),
    });
    expect(message).not.toContain('wrong');
  }, 60_000);

  test('missing rights', async () => {
    const role = `guest_${shop.database.name}`;
    await shop.client.query(`create role ${role} login password 'guest'`);
    const url = withUrl((u) => {
      u.username = role;
      u.password = 'guest';
    });
    try {
      for (const args of [
        ['install'],
        ['backup'],
        ['maintain'],
        ['uninstall', '--yes'],
        pitr('--target-time', '2026-01-01'),
      ]) {
        await refused('HF_RIGHTS_MISSING', args, { url });
      }
    } finally {
      await shop.client.query(`drop role ${role}`);
    }
  }, 60_000);

  test('no tenant table, and a database without Holdfast', async () => {
    const database = await createDatabase();
    const client = await database.client();
    await client.query('create table public.readings (at timestamptz primary key, value float8)');
    const cwd = await temporaryDirectory();
    const ran = await holdfast(['init', '--json'], { cwd, url: database.url });
    expect(ran).toMatchObject({ code: 1, json: { error: { code: 'HF_NO_TENANT_TABLE' } } });
    expect(await listing(cwd)).toEqual({});
    await refused('HF_NOT_INSTALLED', ['maintain'], { url: database.url });
    await refused('HF_NOT_INSTALLED', ['restore-point', 'create', 'x'], { url: database.url });
    await database.drop();
  }, 60_000);
});

describe('the request', () => {
  test('a tenant that does not exist', async () => {
    const { action } = await refused('HF_TENANT_UNKNOWN', ['backup', '-t', '33']);
    expect(action).toContain('Did you mean 3?');
    await refused('HF_TENANT_UNKNOWN', ['pitr', '-t', 'x', '--target-time', '2026-01-01']);
    await refused('HF_TENANT_UNKNOWN', ['restore', '-t', '33', '-p', backup]);
    await refused('HF_TENANT_UNKNOWN', ['restore-point', 'create', 'x', '-t', '33']);
    await refused('HF_TENANT_UNKNOWN', ['list', '-t', '33']);
    const empty = await createDatabase();
    await refused('HF_TENANT_UNKNOWN', ['restore-database', '-t', '33', '--target-url', empty.url]);
    const client = await empty.client();
    expect((await client.query(`select from pg_namespace where nspname = 'Shop'`)).rowCount).toBe(0);
    await empty.drop();
  }, 60_000);

  test('a time in the future, before history, or no time at all', async () => {
    await refused('HF_TIME_FUTURE', pitr('--target-time', '2999-01-01T00:00:00Z'));
    const early = await refused('HF_TIME_UNREACHABLE', pitr('--target-time', '2001-01-01'));
    expect(early.details.nearest.after).toMatch(/^2\d{3}-/);
    expect(early.action).toContain(early.details.nearest.after);
    await refused('HF_TIME_INVALID', pitr('--target-time', '31.12.2025'), { exit: 2 });
    await refused('HF_TARGET_MISSING', pitr(), { exit: 2 });
    await refused('HF_USAGE', ['pitr'], { exit: 2 });
    expect((await shop.run('pitr')).stderr).toMatch(/^HF_USAGE .*\nwhat to do: /);
    await refused('HF_RESTORE_POINT_UNKNOWN', pitr('--point', 'never'));
    const empty = await createDatabase();
    const to = (time: string) => ['restore-database', '--target-url', empty.url, '--target-time', time];
    for (const [time, nearest] of [
      ['2999-01-01', 'before'],
      ['2001-01-01', 'after'],
    ] as const) {
      const { details } = await refused('HF_TIME_UNREACHABLE', to(time));
      expect(details.nearest[nearest]).toMatch(/^2\d{3}-/);
    }
    await refused('HF_TARGET_NOT_EMPTY', ['restore-database', '--target-url', shop.database.url]);
    await empty.drop();
  }, 60_000);
});

describe('the store', () => {
  const store = () => join(shop.cwd, 'holdfast-store');
  const object = (id: string, name: string) => join(store(), 'backups', id, name);
  const manifest = (id: string) => join(store(), 'manifests', '_database', `${id}.json`);

  const schemaOf = async (id: string) =>
    object(id, (await readdir(object(id, ''))).find((name) => name.startsWith('schema'))!);

  /** Damages one file, looks at what each reader says, and puts it back. */
  async function damaged(path: string, damage: () => Promise<unknown>, work: () => Promise<void>): Promise<void> {
    const saved = await readFile(path);
    try {
      await damage();
      await work();
    } finally {
      await writeFile(path, saved);
    }
  }

  /** validate names the object and the fault; a restore from the store refuses, and leaves no row in the target. */
  async function found(kind: string, name: string, restore: RegExp, id = backup): Promise<void> {
    const before = await digest(shop.client);
    const report = await shop.run('validate', '-p', id, '--deep', '--json');
    expect(report.code).toBe(1);
    expect(report.json.faults).toContainEqual(expect.objectContaining({ kind, object: expect.stringContaining(name) }));
    const empty = await createDatabase();
    const ran = await shop.runWith({}, 'restore-database', '--target-url', empty.url, '--json');
    expect(ran).toMatchObject({
      code: 1,
      json: { error: { code: expect.stringMatching(restore), action: expect.stringMatching(/./) } },
    });
    // What is left is either nothing, or a database that says that it is incomplete.
    const client = await connect(empty.url);
    const { rows } = await client.query(
      `select count(*) filter (where nspname = 'Shop') > 0 as begun, count(*) filter (where nspname = 'holdfast_restoring') > 0 as marked from pg_namespace`,
    );
    await client.end();
    if (rows[0].begun) expect(rows[0].marked).toBe(true);
    await empty.drop();
    expect(await digest(shop.client)).toBe(before);
  }

  test('a corrupt object', async () => {
    const path = object(backup, 'chunk-00001.hf');
    const flip = async () => {
      const bytes = await readFile(path);
      bytes[bytes.length >> 1]! ^= 1;
      await writeFile(path, bytes);
    };
    await damaged(path, flip, () => found('corrupt', 'chunk-00001.hf', /^HF_SLAB_CORRUPT$/));
  }, 60_000);

  test('a truncated object', async () => {
    const path = object(backup, 'chunk-00001.hf');
    const cut = async () => writeFile(path, (await readFile(path)).subarray(0, -10));
    await damaged(path, cut, () => found('truncated', 'chunk-00001.hf', /^HF_OBJECT_TRUNCATED$/));
  }, 60_000);

  test('a missing object', async () => {
    const path = object(incremental, 'log-00001.hf');
    await damaged(
      path,
      () => rm(path),
      () => found('missing', 'log-00001.hf', /^HF_OBJECT_MISSING$/, incremental),
    );
  }, 60_000);

  test('swapped objects', async () => {
    const path = await schemaOf(incremental);
    const other = await schemaOf(backup);
    await damaged(
      path,
      () => copyFile(other, path),
      // Whichever of the two is shorter: their sizes differ by what compression made of a few names.
      () => found('foreign', 'schema-', /^HF_(SLAB_CORRUPT|OBJECT_TRUNCATED)$/, incremental),
    );
  }, 60_000);

  test('a foreign object', async () => {
    // The manifest of another backup in the place of this one: whole, signed, and wrong.
    const path = manifest(backup);
    await damaged(
      path,
      () => copyFile(manifest(incremental), path),
      async () => {
        await found('foreign', `${backup}.json`, /^HF_FOREIGN_OBJECT$/);
        const listed = await shop.runWith({ url: undefined }, 'list', '--json');
        expect(listed).toMatchObject({ code: 1, json: { damaged: [{ code: 'HF_FOREIGN_OBJECT' }] } });
        await refused('HF_FOREIGN_OBJECT', ['restore', '-t', '2', '-p', backup]);
      },
    );
  }, 60_000);

  test('a changed manifest, and one of an unknown version of the format', async () => {
    const path = manifest(backup);
    const change = (from: string | RegExp, to: string) => async () =>
      writeFile(path, (await readFile(path, 'utf8')).replace(from, to));
    await damaged(path, change('"bytes":', '"bytes":1'), () =>
      found('signature', `${backup}.json`, /^HF_MANIFEST_SIGNATURE$/),
    );
    await damaged(path, change(/"version":1\}\n$/, '"version":2}\n'), () =>
      found('version', `${backup}.json`, /^HF_FORMAT_UNKNOWN_VERSION$/),
    );
    const marker = join(store(), 'holdfast-store.json');
    const newer = async () => writeFile(marker, (await readFile(marker, 'utf8')).replace('"version":1', '"version":2'));
    await damaged(marker, newer, async () => {
      const error = await refused('HF_FORMAT_UNKNOWN_VERSION', ['backup']);
      expect(error.details).toMatchObject({ got: 2, known: 1 });
    });
  }, 60_000);

  test('the wrong key, no key, a key that others can read', async () => {
    const path = join(shop.cwd, 'holdfast.key');
    const other = await temporaryDirectory();
    await holdfast(INIT, { cwd: other, url: shop.database.url });
    await damaged(
      path,
      () => copyFile(join(other, 'holdfast.key'), path),
      async () => {
        await refused('HF_KEY_WRONG', ['validate', '-p', backup]);
        await refused('HF_KEY_WRONG', ['backup']);
        await refused('HF_KEY_WRONG', ['list', '--from-store']);
      },
    );
    const saved = await readFile(path);
    await rm(path);
    await refused('HF_KEY_FILE_MISSING', ['backup']);
    await refused('HF_KEY_FILE_MISSING', [...INIT, '--force']); // a second key beside the backups of the first
    await writeFile(path, saved, { mode: 0o644 });
    await refused('HF_KEY_FILE_MODE', ['backup']);
    await rm(path);
    await writeFile(path, saved, { mode: 0o600 });
  }, 60_000);

  test('no data map, one that is wrong, a store that is not there', async () => {
    const nowhere = join(shop.cwd, 'nowhere.yaml');
    await refused('HF_MAP_MISSING', ['backup', '-c', nowhere]);
    const path = join(shop.cwd, 'holdfast.yaml');
    await damaged(
      path,
      () => writeFile(path, 'tenant: [1'),
      () => refused('HF_MAP_INVALID', ['backup']),
    );
    const yaml = (await readFile(path, 'utf8')).replace(/^store:.*$/m, '');
    await damaged(
      path,
      () => writeFile(path, `${yaml}\nstore: ./elsewhere\n`),
      async () => {
        await refused('HF_STORE_UNKNOWN', ['validate', '-p', backup]);
        await refused('HF_STORE_UNKNOWN', ['restore-database', '--target-url', shop.database.url]);
      },
    );
  }, 60_000);
});
