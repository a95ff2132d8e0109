/** A small shop: two hops to the tenant, names that need quotes, bigint and composite keys. */
import type pg from 'pg';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { holdfast, type Ran, type RunOptions } from './run.ts';

const SCHEMA = `
  create schema "Shop";
  create table "Shop"."Mandant" ("Nr" bigint generated always as identity primary key, "Voller Name" text not null);
  create table "Shop".kunden (
    id bigint generated always as identity primary key,
    mandant bigint not null references "Shop"."Mandant" ("Nr"),
    email text not null, unique (mandant, email));
  create table "Shop".artikel (code text primary key, titel text not null);
  create table "Shop"."Aufträge" (
    "Auftrag Nr" bigint generated always as identity primary key,
    kunde bigint not null references "Shop".kunden (id) on delete cascade,
    notiz text, betrag numeric(12,2) not null);
  create table "Shop"."Positionen" (
    auftrag bigint references "Shop"."Aufträge" ("Auftrag Nr") on delete cascade,
    zeile int, artikel text not null references "Shop".artikel (code), menge int not null check (menge > 0),
    primary key (auftrag, zeile));
  create index on "Shop"."Aufträge" (kunde);
  insert into "Shop"."Mandant" ("Voller Name") select 'Mandant ' || i from generate_series(1, 3) i;
  insert into "Shop".kunden (mandant, email) select 1 + i % 3, 'kunde' || i || '@example.com' from generate_series(1, 30) i;
  insert into "Shop".artikel select 'A' || i, 'Artikel ' || i from generate_series(1, 5) i;
  insert into "Shop"."Aufträge" (kunde, notiz, betrag)
    select 1 + i % 30, case when i % 7 > 0 then 'Notiz ' || i end, i * 1.25 from generate_series(1, 300) i;
  insert into "Shop"."Positionen" select i, z, 'A' || (1 + i % 5), z from generate_series(1, 300) i, generate_series(1, 3) z;`;

/** What init is told of it. */
export const INIT = [
  'init',
  '--tenant-table',
  '"Shop"."Mandant"',
  '--tenant-key',
  'Nr',
  '--person-table',
  '"Shop".kunden',
  '--person-key',
  'id',
];

export interface Shop {
  readonly database: TestDatabase;
  readonly client: pg.Client;
  /** Working folder with holdfast.yaml and the store. */
  readonly cwd: string;
  run(...args: string[]): Promise<Ran>;
  runWith(options: Partial<RunOptions>, ...args: string[]): Promise<Ran>;
}

/** @param serverUrl default: the server of the test run */
export async function createShop(serverUrl?: string): Promise<Shop> {
  const database = await createDatabase(serverUrl === undefined ? {} : { serverUrl });
  const client = await database.client();
  await client.query(SCHEMA);
  const cwd = await temporaryDirectory();
  const runWith = (options: Partial<RunOptions>, ...args: string[]) =>
    holdfast(args, { cwd, url: database.url, ...options });
  return { database, client, cwd, run: (...args) => runWith({}, ...args), runWith };
}

/** Everything that the application owns, and every relation there is: rows as text, so that nothing is normalised away. */
export async function digest(client: pg.Client): Promise<string> {
  const { rows } = await client.query(`
    select md5(string_agg(line, E'\\n' order by line)) as digest from (
      select '"Mandant"' || t::text as line from "Shop"."Mandant" t
      union all select 'kunden' || t::text from "Shop".kunden t
      union all select 'artikel' || t::text from "Shop".artikel t
      union all select '"Aufträge"' || t::text from "Shop"."Aufträge" t
      union all select '"Positionen"' || t::text from "Shop"."Positionen" t
      union all select 'relation ' || c.oid::regclass::text || c.relkind::text from pg_class c
        join pg_namespace n on n.oid = c.relnamespace where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      union all select 'trigger ' || tgname || tgrelid::regclass::text from pg_trigger where not tgisinternal
      union all select 'function ' || p.oid::regprocedure::text from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace where n.nspname !~ '^pg_' and n.nspname <> 'information_schema') x`);
  return rows[0].digest as string;
}
