/**
 * Proof that a backup restores: it is restored for real into a scratch database, everything is read again and compared with
 * what came out of the backup, and keys, foreign keys and sequences are looked at.
 */
import { to as copyTo } from 'pg-copy-streams';
import type { Context } from '../context.ts';
import { HoldfastError, RestoreError } from '../errors.ts';
import { parseMoment } from '../moment.ts';
import type { Manifest } from '../snapshot/types.ts';
import { type Client, ident, tableSql } from '../sql.ts';
import { buildDatabase } from './build.ts';
import { connectAll } from './database.ts';
import { RowSet } from './rowSet.ts';
import { readSchemaObject } from './schemaObject.ts';
import { withScratch } from './scratch.ts';
import type { StagedTable } from './stage.ts';
import { slabReader, storeChain } from './storePlan.ts';
import { keyMatch } from './target.ts';

export interface Proof {
  readonly ok: boolean;
  readonly backup: string;
  /** Only this tenant was restored, with the shared tables; it says nothing of the others. */
  readonly tenant?: string;
  /** The moment that was restored. */
  readonly moment: string;
  readonly tables: readonly { readonly name: string; readonly rows: number; readonly digest: string }[];
  /** How many foreign keys hold, and how many sequences stand at or above their columns. */
  readonly foreignKeys: number;
  readonly sequences: number;
  readonly milliseconds: number;
  /** What does not hold; empty when `ok`. */
  readonly failures: readonly string[];
}

export interface RestoreTestOptions {
  /** A database of the server that holds the scratch database. @default the protected database's server */
  readonly serverUrl?: string;
  /** Of a backup of the whole database, only this tenant. @default all that the backup holds */
  readonly tenant?: string;
}

/** Never throws for a backup that does not restore: that is what the proof says. It throws when no test could be made. */
export async function restoreTest(ctx: Context, manifest: Manifest, options: RestoreTestOptions = {}): Promise<Proof> {
  const began = performance.now();
  const serverUrl = options.serverUrl ?? ctx.databaseUrl;
  if (!serverUrl) {
    throw new RestoreError('HF_DATABASE_URL', 'A restore test needs a server for its scratch database.', {
      action: 'Pass --database-url, or name a server for restore tests.',
    });
  }
  const failures: string[] = [];
  const proof = { tables: [] as Proof['tables'], foreignKeys: 0, sequences: 0 };
  try {
    const { schema } = await readSchemaObject(await slabReader(ctx), manifest);
    await withScratch(serverUrl, schema.database, async (url) => {
      Object.assign(proof, await test(ctx, manifest, options.tenant ?? manifest.tenant, url, failures));
    });
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code === 'HF_SCRATCH_DENIED') throw error;
    failures.push(`${error.code}: ${error.message}`);
  }
  const milliseconds = Math.round(performance.now() - began);
  const only = options.tenant === undefined ? {} : { tenant: options.tenant };
  return {
    ok: failures.length === 0,
    backup: manifest.id,
    ...only,
    moment: manifest.horizon,
    ...proof,
    milliseconds,
    failures,
  };
}

async function test(ctx: Context, manifest: Manifest, tenant: string | null, url: string, failures: string[]) {
  const chain = await storeChain(ctx, tenant, parseMoment(manifest.horizon));
  const clients = await connectAll(url, 2);
  const main = clients[0]!;
  const expected = new Map<string, RowSet>();
  const rowSet = (table: string): RowSet => {
    if (!expected.has(table)) expected.set(table, new RowSet());
    return expected.get(table)!;
  };
  const tables = new Map<string, { rows: number; digest: string }>();
  try {
    await buildDatabase(ctx, clients, chain, {
      tenant,
      watch: {
        rowSet,
        loaded: async (client) => {
          for (const { name } of chain.base.tables) {
            const got = await readBack(client, name);
            const want = rowSet(name);
            tables.set(name, { rows: got.rows, digest: got.digest });
            if (got.rows !== want.rows) failures.push(`${name} holds ${got.rows} rows instead of ${want.rows}.`);
            else if (got.digest !== want.digest) failures.push(`Rows of ${name} are not those of the backup.`);
          }
        },
        replayed: async (client, net) => {
          failures.push(...(await checkReplayed(client, net)));
          const { rows, digest } = await readBack(client, net.target.bound.name);
          tables.set(net.target.bound.name, { rows, digest });
        },
      },
    });
    const foreignKeys = await checkForeignKeys(main, failures);
    const sequences = await checkSequences(main, failures);
    return { tables: [...tables].map(([name, t]) => ({ name, ...t })), foreignKeys, sequences };
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** Reads a table back through COPY, into a digest of its own. */
async function readBack(client: Client, table: string): Promise<RowSet> {
  const { rows } = await client.query(
    `select attname::text as name from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped
        and attgenerated = '' order by attnum`,
    [tableSql(table)],
  );
  const columns = rows.map((r) => r.name as string);
  const set = new RowSet();
  const add = set.reader(columns);
  const stream = client.query(
    copyTo(`copy (select ${columns.map(ident).join(', ')} from ${tableSql(table)}) to stdout`),
  );
  for await (const piece of stream) add(piece as Buffer);
  return set;
}

/** After the log was carried over a table, each record that it names is as the log leaves it. */
async function checkReplayed(client: Client, net: StagedTable): Promise<string[]> {
  const { target, sql } = net;
  const unlike = target.columns.map(
    (c) =>
      `(n._hf_kind = 'F' or ${c.attnum} = any(n._hf_set)) and row(t.${ident(c.name)})::text is distinct from row(n.${ident(c.name)})::text`,
  );
  const { rows } = await client.query(
    `select n._hf_record as record from ${sql} n left join ${target.sql} t on ${keyMatch(target, 't', 'n')}
      where case when n._hf_kind = 'A' then t.tableoid is not null else t.tableoid is null or ${unlike.join(' or ')} end limit 5`,
  );
  return rows.map((r) => `Record ${r.record} of ${target.bound.name} is not as the log leaves it.`);
}

async function checkForeignKeys(client: Client, failures: string[]): Promise<number> {
  const { rows } = await client.query(
    "select conrelid::regclass::text as table, conname, convalidated from pg_constraint where contype = 'f' and conparentid = 0",
  );
  for (const r of rows) if (!r.convalidated) failures.push(`Foreign key ${r.conname} of ${r.table} is not validated.`);
  return rows.filter((r) => r.convalidated).length;
}

/** A sequence below its column would hand out keys that are taken. */
async function checkSequences(client: Client, failures: string[]): Promise<number> {
  const { rows } = await client.query(
    `select d.objid::regclass::text as sequence, d.refobjid::regclass::text as table, quote_ident(a.attname) as column
       from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
       join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
      where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')`,
  );
  let good = 0;
  for (const { sequence, table, column } of rows) {
    const { rows: found } = await client.query(
      `select s.last_value::text as at, m.highest::text as highest, coalesce(case when sign(q.seqincrement) > 0
                then m.highest <= s.last_value - case when s.is_called then 0 else 1 end
                else true end, true) as good
         from ${sequence} s, (select max(${column}) as highest from ${table}) m,
              (select seqincrement from pg_sequence where seqrelid = '${sequence}'::regclass) q`,
    );
    if (found[0].good) good += 1;
    else failures.push(`Sequence ${sequence} stands at ${found[0].at}, ${table}.${column} at ${found[0].highest}.`);
  }
  return good;
}
