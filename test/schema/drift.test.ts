import { expect, test } from '@jest/globals';
import { createSchema } from '../../core/schema/create.ts';
import { schemaDrift } from '../../core/schema/drift.ts';
import { readSchema } from '../../core/schema/read.ts';
import { readSequences, writeSequences } from '../../core/schema/sequences.ts';
import { createDatabase } from '../support/database.ts';

test('drift names each column, constraint and index that changed, and only those', async () => {
  const database = await createDatabase({ prefix: 'drift' });
  const client = await database.client();
  await client.query(`
    create table public.t (id int primary key, a text, ab text not null, c int check (c > 0));
    create table public.going (id int);
    create index on public.t (a)`);
  const before = await readSchema(client);
  expect(schemaDrift(before, await readSchema(client))).toEqual([]);
  await client.query(`
    alter table public.t add d date, drop column a, alter c type bigint, drop constraint t_c_check;
    drop table public.going;
    create table public.fresh (id int primary key);
    alter table public.t alter ab set default 'x';
    alter table public.t set (fillfactor = 50)`);
  const after = await readSchema(client);
  expect(
    schemaDrift(before, after)
      .map(({ change, kind, name }) => `${change} ${kind} ${name}`)
      .sort(),
  ).toEqual([
    'added column public.t.d',
    'added default public.t.ab',
    'added key public.fresh.fresh_pkey',
    'added table public.fresh',
    'changed column public.t.c',
    'changed table public.t',
    'dropped check public.t.t_c_check',
    'dropped column public.t.a',
    'dropped index public.t_a_idx',
    'dropped table public.going',
  ]);
  expect(after.fingerprint).not.toBe(before.fingerprint);
  await database.drop();
});

test('rights and owners are carried, but are no drift; missing roles are noted', async () => {
  const database = await createDatabase({ prefix: 'roles' });
  const target = await createDatabase({ prefix: 'roles' });
  const client = await database.client();
  const role = `r_${database.name}`;
  await client.query(`create table public.t (id int); create role ${role}; create role "${role} 2"`);
  const plain = await readSchema(client);
  await client.query(`
    alter table public.t owner to ${role};
    grant select on public.t to "${role} 2" with grant option;
    create function public.f() returns int language sql as 'select 1';
    revoke execute on function public.f() from public;
    create policy p on public.t to "${role} 2" using (true);
    alter database ${database.name} set statement_timeout = '7s';
    alter database ${database.name} set search_path = public, "Odd, one"`);
  const record = await readSchema(client);
  expect(schemaDrift(plain, record).map((d) => d.kind)).toEqual(['function', 'policy']);

  const copy = await target.client();
  await createSchema(copy, record, 'before-data');
  expect((await createSchema(copy, record, 'after-data')).notes).toEqual([]);
  const again = await target.client();
  expect((await readSchema(copy)).objects).toEqual(record.objects);
  const versions = await copy.query("select current_setting('server_version_num') as version");
  const { rows } = await copy.query(
    "select pg_get_userbyid(relowner) as owner, relacl::text from pg_class where relname = 't'",
  );
  const all = Number(versions.rows[0].version) >= 170000 ? 'arwdDxtm' : 'arwdDxt'; // MAINTAIN came with 17
  expect(rows).toEqual([{ owner: role, relacl: `{${role}=${all}/${role},"\\"${role} 2\\"=r*/${role}"}` }]);
  expect(
    (
      await again.query(
        'select setconfig from pg_db_role_setting where setdatabase = (select oid from pg_database where datname = current_database())',
      )
    ).rows[0].setconfig.sort(),
  ).toEqual(['search_path=public, "Odd, one"', 'statement_timeout=7s']);

  await client.query(`reassign owned by ${role} to current_user; drop owned by ${role}, "${role} 2"`);
  await target.drop();
  await client.query(`drop role ${role}; drop role "${role} 2"`);
  const second = await createDatabase({ prefix: 'roles' });
  const poor = await second.client();
  await createSchema(poor, record, 'before-data');
  const { notes } = await createSchema(poor, record, 'after-data');
  expect(notes.join('\n')).toContain(`owner table public.t was left out: this server has no role ${role}`);
  expect(notes.join('\n')).toContain('policy public.t.p was left out');
  await Promise.all([second.drop(), database.drop()]);
});

test('a schema that cannot be made is refused by name and leaves nothing', async () => {
  const database = await createDatabase({ prefix: 'refused' });
  const client = await database.client();
  await client.query('create table public.fine (id int); create table public.needs (id int)');
  const record = structuredClone(await readSchema(client)) as unknown as {
    objects: { name: string; sql: string[] }[];
    version: number;
  };
  await client.query('drop table public.fine, public.needs');
  record.objects.find((o) => o.name === 'public.needs')!.sql = ['create table public.needs (x public.no_such_type)'];
  const broken = record as unknown as Parameters<typeof createSchema>[1];
  await expect(createSchema(client, broken, 'before-data')).rejects.toMatchObject({
    code: 'HF_SCHEMA_CREATE',
    message: 'The table public.needs could not be made: type "public.no_such_type" does not exist.',
    details: { statement: 'create table public.needs (x public.no_such_type)' },
  });
  expect((await client.query("select to_regclass('public.fine') as t")).rows[0].t).toBeNull();
  record.version = 99;
  await expect(createSchema(client, broken, 'before-data')).rejects.toMatchObject({ code: 'HF_SCHEMA_VERSION' });
  await database.drop();
});

test('sequences are read and set, called or not', async () => {
  const database = await createDatabase({ prefix: 'sequences' });
  const client = await database.client();
  await client.query(`
    create schema "Odd.one";
    create table public.t (id int generated always as identity, s bigserial);
    create sequence "Odd.one"."Se""q" start 9007199254740993;
    insert into public.t default values; insert into public.t default values`);
  const values = await readSequences(client);
  expect(values).toEqual([
    { name: '"Odd.one"."Se""q"', value: '9007199254740993', called: false },
    { name: 'public.t_id_seq', value: '2', called: true },
    { name: 'public.t_s_seq', value: '2', called: true },
  ]);
  await client.query(`insert into public.t default values; select nextval('"Odd.one"."Se""q"')`);
  expect(await writeSequences(client, [...values, { name: 'public.gone', value: '1', called: true }])).toEqual([
    'public.gone',
  ]);
  expect(await readSequences(client)).toEqual(values);
  expect(await writeSequences(client, [])).toEqual([]);
  await database.drop();
});
