import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type pg from 'pg';
import { bind } from '../../core/datamap/bind.ts';
import { formatMap } from '../../core/datamap/format.ts';
import { introspect } from '../../core/datamap/introspect.ts';
import { formatReach } from '../../core/datamap/notation.ts';
import { parseMap } from '../../core/datamap/parse.ts';
import { type ProposeOptions, propose } from '../../core/datamap/propose.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let client: pg.Client;
beforeAll(async () => {
  database = await createDatabase();
  client = await database.client();
});
afterAll(() => database.drop());

/** Proposes for a schema made of `ddl`, proves that the file written from it binds, and leaves nothing behind. */
async function proposalFor(ddl: string, options: ProposeOptions = {}) {
  await client.query('begin');
  try {
    await client.query('set local search_path = public');
    await client.query(ddl);
    await client.query('set local search_path = pg_catalog');
    const { map, notes } = propose(await introspect(client), options);
    const text = formatMap(map);
    expect(parseMap(text)).toEqual(map);
    await bind(client, map);
    const reaches = Object.fromEntries(
      map.tables.map((t) => [
        t.name,
        [t.tenant ? formatReach(t.tenant) : 'shared', ...(t.person ? [formatReach(t.person), t.erase] : [])].join(
          ' | ',
        ),
      ]),
    );
    const classes = (table: string) =>
      Object.fromEntries(
        Object.entries(map.tables.find((t) => t.name === table)!.columns).map(([name, rule]) => [name, rule.class]),
      );
    return { map, notes, reaches, classes, text };
  } finally {
    await client.query('rollback');
  }
}

test('uuid keys, snake case: direct columns, two and three hops, shared tables', async () => {
  const { map, reaches, classes, notes } = await proposalFor(`
    create table plans (id text primary key, name text, price numeric);
    create table organizations (id uuid primary key, name text, plan_id text references plans);
    create table users (id uuid primary key, organization_id uuid not null references organizations, email text, full_name text,
      date_of_birth date, last_login_ip inet, is_admin bool, password_hash text, locale text, preferences jsonb);
    create table entries (id uuid primary key, organization_id uuid not null references organizations,
      author_id uuid not null references users on delete cascade, title text, body text, mood int, status text);
    create table voice_notes (id uuid primary key, entry_id uuid not null references entries, transcript text);
    create table segments (note_id uuid references voice_notes, no int, words text, primary key (note_id, no));
    create table schema_migrations (version text primary key);`);
  expect(map.tenants).toEqual({ table: 'public.organizations', key: 'id' });
  expect(map.persons).toEqual({ table: 'public.users', key: 'id' });
  expect(map.excluded).toEqual(['public.schema_migrations']);
  expect(reaches).toEqual({
    'public.organizations': 'id',
    'public.users': 'organization_id | id | delete',
    'public.entries': 'organization_id | author_id | delete',
    'public.voice_notes': 'via entry_id -> public.entries(id) | via entry_id -> public.entries(id) | delete',
    'public.segments': 'via note_id -> public.voice_notes(id) | via note_id -> public.voice_notes(id) | delete',
    'public.plans': 'shared',
  });
  expect(classes('public.users')).toEqual({
    id: 'internal',
    organization_id: 'internal',
    email: 'personal',
    full_name: 'personal',
    date_of_birth: 'personal',
    last_login_ip: 'personal',
    is_admin: 'internal',
    password_hash: 'personal',
    locale: 'internal',
    preferences: 'personal',
  });
  expect(classes('public.entries')).toMatchObject({
    title: 'personal',
    body: 'sensitive',
    mood: 'sensitive',
    status: 'internal',
  });
  expect(classes('public.organizations')).toMatchObject({ name: 'internal' });
  expect(classes('public.plans')).toMatchObject({ name: 'none', price: 'none' });
  expect(notes).toContain('public.plans reaches no tenant, so it is taken as shared');
});

test('bigint keys, camel case and quoted names, composite foreign keys', async () => {
  const { map, reaches } = await proposalFor(`
    create table "Accounts" ("AccountId" bigint primary key, "Name" text);
    create table "Members" ("AccountId" bigint references "Accounts", "MemberNo" int, "EMail" text, primary key ("AccountId", "MemberNo"),
      "Uid" text not null unique);
    create table "Loans" ("AccountId" bigint, "MemberNo" int, "LoanNo" int, "Note" text, primary key ("AccountId", "LoanNo"),
      foreign key ("AccountId", "MemberNo") references "Members");
    create table "Payments" ("id" bigint primary key, "AccountId" bigint not null, "LoanNo" int not null,
      foreign key ("AccountId", "LoanNo") references "Loans");`);
  expect(map.tenants).toEqual({ table: 'public."Accounts"', key: 'AccountId' });
  expect(map.persons).toEqual({ table: 'public."Members"', key: 'Uid' });
  expect(reaches).toEqual({
    'public."Accounts"': 'AccountId',
    'public."Members"': 'AccountId | Uid | delete',
    'public."Loans"': 'AccountId | via AccountId, MemberNo -> public."Members"(AccountId, MemberNo) | delete',
    'public."Payments"': 'AccountId | via AccountId, LoanNo -> public."Loans"(AccountId, LoanNo) | delete',
  });
});

test('text keys, other languages, unicode, two schemas with the same table name', async () => {
  const { map, reaches, classes } = await proposalFor(`
    create schema büro; create schema archiv;
    create table büro."Mandanten" (kürzel text primary key, firma text);
    create table büro.mitarbeiter (id serial primary key, mandant text not null references büro."Mandanten", vorname text, nachname text);
    create table büro.akten (id serial primary key, "Mitarbeiter Nr" int not null references büro.mitarbeiter on delete cascade, inhalt text);
    create table archiv.akten (id int primary key references büro.akten, "größe, in KB" int);`);
  expect(map.tenants).toEqual({ table: '"büro"."Mandanten"', key: 'kürzel' });
  expect(reaches).toEqual({
    '"büro"."Mandanten"': 'kürzel',
    '"büro".mitarbeiter': 'mandant | id | delete',
    '"büro".akten': 'via "Mitarbeiter Nr" -> "büro".mitarbeiter(id) | "Mitarbeiter Nr" | delete',
    'archiv.akten': 'via id -> "büro".akten(id) | via id -> "büro".akten(id) | delete',
  });
  expect(classes('"büro".akten')).toMatchObject({ inhalt: 'sensitive' });
  expect(classes('"büro".mitarbeiter')).toMatchObject({ vorname: 'personal', nachname: 'personal' });
});

test('naming convention without foreign keys', async () => {
  const { reaches, notes } = await proposalFor(`
    create table workspaces (id bigint primary key, name text);
    create table users (id bigint primary key, workspace_id bigint not null, email text);
    create table tasks (id bigint primary key, "workspaceId" bigint, user_id bigint, title text);
    create table odd (id bigint primary key, workspace_id text);`);
  expect(reaches).toEqual({
    'public.workspaces': 'id',
    'public.users': 'workspace_id | id | delete',
    'public.tasks': 'workspaceId | user_id | delete',
    'public.odd': 'shared', // a text that is called workspace_id is no key of a bigint
  });
  expect(notes).toContain(
    'public.users has its tenant in workspace_id by its name; there is no foreign key to public.workspaces',
  );
});

test('cycles, self references and partitions', async () => {
  const { reaches } = await proposalFor(`
    create table companies (id int primary key, owner_id int);
    create table users (id int primary key, company_id int not null references companies, boss_id int references users, email text);
    alter table companies add foreign key (owner_id) references users;
    create table folders (id int primary key, parent_id int references folders, first_file_id int, user_id int not null references users);
    create table files (id int primary key, folder_id int not null references folders);
    alter table folders add foreign key (first_file_id) references files;
    create table a (id int primary key, b_id int);
    create table b (id int primary key, a_id int references a);
    alter table a add foreign key (b_id) references b;
    create table events (id int, at date, user_id int not null references users, primary key (id, at)) partition by range (at);
    create table events_1 partition of events for values from ('2026-01-01') to ('2027-01-01') partition by list (id);
    create table events_1_1 partition of events_1 default;
    create table event_notes (event_id int, at date, foreign key (event_id, at) references events);`);
  expect(reaches).toEqual({
    'public.companies': 'id',
    'public.users': 'company_id | id | anonymise', // companies point to their owner
    'public.event_notes':
      'via event_id, at -> public.events(id, at) | via event_id, at -> public.events(id, at) | anonymise',
    'public.events': 'via user_id -> public.users(id) | user_id | delete',
    'public.files': 'via folder_id -> public.folders(id) | via folder_id -> public.folders(id) | delete',
    'public.folders': 'via user_id -> public.users(id) | user_id | delete',
    'public.a': 'shared',
    'public.b': 'shared',
  });
});

test('a longer path of NOT NULL foreign keys beats a shorter one that may be NULL; equals are noted', async () => {
  const { reaches, notes } = await proposalFor(`
    create table tenants (id int primary key);
    create table users (id int primary key, tenant_id int not null references tenants, email text);
    create table projects (id int primary key, tenant_id int not null references tenants);
    create table tasks (id int primary key, project_id int not null references projects, assignee_id int references users);
    create table comments (id int primary key, task_id int not null references tasks, mentioned_id int references users);
    create table links (a int not null references projects, b int not null references projects);
    create table hints (id int primary key, project_id int references projects);`);
  expect(reaches['public.comments']).toBe('via task_id -> public.tasks(id)');
  expect(reaches['public.tasks']).toBe('via project_id -> public.projects(id)');
  expect(notes).toContain('public.links reaches its tenant via a -> public.projects(id); via b is as short');
  expect(notes).toContain(
    'public.hints reaches its tenant through project_id, which may be NULL; such rows belong to no tenant',
  );
  expect(notes).toContain("public.tasks names a person in assignee_id, but its rows are not taken to be that person's");
  expect(notes).toContain('public.links has no key; changes are captured, but single records cannot be restored');
});

test('what acts on a row does not own it, and what others need is anonymised', async () => {
  const { reaches, notes } = await proposalFor(`
    create table organisations (id int primary key, created_by int);
    create table people (id int primary key, organisation_id int references organisations, name text);
    create table invoices (id int primary key, organisation_id int not null references organisations, created_by int not null references people, approved_by_id int references people);
    create table posts (id int primary key, organisation_id int not null references organisations, author_id int references people on delete set null);`);
  expect(reaches).toEqual({
    'public.organisations': 'id',
    'public.people': 'organisation_id | id | anonymise',
    'public.invoices': 'organisation_id',
    'public.posts': 'organisation_id | author_id | anonymise',
  });
  expect(notes).toContain(
    'public.people is anonymised on erasure, not deleted, because public.invoices must keep pointing to it',
  );
});

test('an owner whose key has several spellings is read from its own row', async () => {
  const { reaches } = await proposalFor(`
    create collation whatever (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create table companies (code text collate whatever primary key);
    create table users (id int primary key, company_code text collate whatever not null references companies, email text);
    create table logs (id int primary key, user_id int not null references users);`);
  expect(reaches).toEqual({
    'public.companies': 'code',
    'public.users': 'via company_code -> public.companies(code) | id | delete',
    'public.logs': 'via user_id -> public.users(id) | user_id | delete',
  });
});

test('people who belong to many tenants are shared', async () => {
  const { reaches } = await proposalFor(`
    create table teams (id int primary key, name text);
    create table users (id int primary key, email text);
    create table memberships (team_id int references teams, user_id int references users, primary key (team_id, user_id));
    create table documents (id int primary key, team_id int not null references teams, author_id int references users);`);
  expect(reaches).toEqual({
    'public.teams': 'id',
    'public.users': 'shared | id | delete',
    'public.memberships': 'team_id | user_id | delete',
    'public.documents': 'team_id | author_id | delete',
  });
});

test('two tables that could be the tenants: the better one is taken and the other named', async () => {
  const { map, notes } = await proposalFor(`
    create table organizations (id int primary key);
    create table workspaces (id int primary key, organization_id int not null references organizations);
    create table pages (id int primary key, workspace_id int not null references workspaces);`);
  expect(map.tenants.table).toBe('public.organizations');
  expect(map.persons).toBeUndefined();
  expect(notes).toContain(
    'public.organizations is taken for the tenant table; public.workspaces could be meant too: name it with --tenant-table',
  );
});

test('a tenant table with a name that says nothing is found by what points to it', async () => {
  const ddl = `
    create table zonks (id int primary key, slug text unique);
    create table a (id int primary key, zonk_id int not null references zonks);
    create table b (id int primary key, zonk_id int not null references zonks);
    create table c (id int primary key, zonk text not null references zonks (slug));`;
  const { map, notes } = await proposalFor(ddl);
  expect(map.tenants).toEqual({ table: 'public.zonks', key: 'id' });
  expect(notes[0]).toMatch('is taken for the tenant table only because 3 tables point to it');
  const bySlug = await proposalFor(ddl, { tenantTable: 'zonks', tenantKey: 'slug' });
  expect(bySlug.reaches).toMatchObject({ 'public.c': 'zonk', 'public.a': 'via zonk_id -> public.zonks(id)' });
});

test.each([
  [
    'no tenant table',
    'create table x (id int primary key); create table y (id int primary key);',
    {},
    'HF_NO_TENANT_TABLE',
    '--tenant-table schema.table',
  ],
  ['an empty database', '', {}, 'HF_NO_TENANT_TABLE', 'no tables that this role can see'],
  [
    'a tenant table that is not there',
    'create table orgs (id int primary key)',
    { tenantTable: 'org' },
    'HF_TABLE_UNKNOWN',
    'Did you mean public.orgs?',
  ],
  [
    'a tenant key that is not there',
    'create table orgs (id int primary key)',
    { tenantKey: 'key' },
    'HF_COLUMN_UNKNOWN',
    'Columns there are: id',
  ],
  [
    'a tenant key that is not unique',
    'create table orgs (id int primary key, name text)',
    { tenantTable: 'orgs', tenantKey: 'name' },
    'HF_REACH_INVALID',
    'unique index of its own: id',
  ],
  [
    'a tenant table without key',
    'create table tenants (id int); create table u (tenant_id int)',
    {},
    'HF_REACH_INVALID',
    'add primary key',
  ],
  [
    'a person table that is not there',
    'create table orgs (id int primary key); create table u (org_id int references orgs)',
    { personTable: 'users' },
    'HF_TABLE_UNKNOWN',
    '--person-table',
  ],
])('refuses %s', async (_, ddl, options, code, action) => {
  await expect(proposalFor(ddl, options)).rejects.toMatchObject({ code, action: expect.stringContaining(action) });
});

test('columns that frameworks stamp on every write are proposed as stamped, and others that sound like them are not', async () => {
  const { map, text } = await proposalFor(`
    create table organizations (id uuid primary key, name text, updated_at timestamptz, lock_version int);
    create table posts (id uuid primary key, organization_id uuid references organizations, "modifiedDate" timestamp, updated_by text,
      published_at timestamptz, version int, updated_on text, row_version bigint);`);
  const stamped = map.tables.map((t) => Object.keys(t.columns).filter((c) => t.columns[c]!.stamped));
  expect(stamped).toEqual([
    ['updated_at', 'lock_version'],
    ['modifiedDate', 'row_version'],
  ]);
  expect(text).toContain('    stamped: [updated_at, lock_version]');
});
