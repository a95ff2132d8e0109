/**
 * Opens a backup for queries: the schema in a PostgreSQL of its own at once, the rows of a table when a query first asks for
 * it. Needs the store and the keys, and nothing of production.
 */
import type { Context } from '../../context.ts';
import { didYouMean } from '../../datamap/suggest.ts';
import { HoldfastError, RestoreError } from '../../errors.ts';
import { formatMoment, type Moment, parseMoment } from '../../moment.ts';
import type { Chain } from '../../restore/chain.ts';
import { requireTenant } from '../../restore/database.ts';
import { withoutErased } from '../../restore/erasure.ts';
import { readSchemaObject } from '../../restore/schemaObject.ts';
import { slabReader, storeChain } from '../../restore/storePlan.ts';
import type { SchemaRecord } from '../../schema/types.ts';
import { qualified, splitTableName, transaction } from '../../sql.ts';
import { readManifest } from '../manifest.ts';
import type { SlabReader } from '../readSlab.ts';
import type { Engine, EngineMaker } from './engine.ts';
import { Loader } from './loader.ts';
import { type Needs, readNeeds, VIEW_HEAD } from './needs.ts';
import { missingExtensions, openPglite } from './pglite.ts';
import { type QueryResult, runQuery } from './result.ts';
import { makeSchema } from './schema.ts';
import { oneQuery, queryError, timedOut } from './statement.ts';

export interface OpenRequest {
  /** null: everything. */
  readonly tenant: string | null;
  /** @default the latest moment that the store reaches */
  readonly moment?: Moment;
  /** As at the end of this backup. */
  readonly backup?: string;
  /** auto: PGlite, unless there is too much for it or it cannot hold the schema. @default 'auto' */
  readonly engine?: 'auto' | 'pglite' | 'scratch';
  /** Makes a scratch database. */
  readonly scratch: EngineMaker;
}

/** Text bytes that PGlite is given before `auto` prefers a server: it loads about 10 MB/s and keeps all in memory. */
const PGLITE_AUTO = 96 << 20;
/** What fits its address space with room for a query. */
const PGLITE_MOST = 700 << 20;

export interface QueryLimits {
  /** Milliseconds. @default 60,000 */
  readonly timeout?: number;
}

/** @throws RestoreError HF_NO_BACKUP, HF_TENANT_UNKNOWN, HF_TIME_UNREACHABLE; DatabaseError HF_ENGINE_SCHEMA, HF_ENGINE_START */
export async function openBackup(ctx: Context, request: OpenRequest): Promise<OpenBackup> {
  const moment = request.backup ? parseMoment((await readManifest(ctx, request.backup)).horizon) : request.moment;
  const chain = await storeChain(ctx, request.tenant, moment);
  if (request.tenant !== null) requireTenant(chain, request.tenant, ctx.store.description);
  const reader = withoutErased(await slabReader(ctx), ctx.ledger);
  const { schema } = await readSchemaObject(reader, chain.logs.at(-1)!);
  const opened = new OpenBackup(ctx, request, { chain, reader, schema });
  await opened.start();
  return opened;
}

interface Source {
  readonly chain: Chain;
  readonly reader: SlabReader;
  readonly schema: SchemaRecord;
}

export class OpenBackup {
  readonly #ctx: Context;
  readonly #request: OpenRequest;
  readonly #source: Source;
  #engine!: Engine;
  #loader!: Loader;
  readonly #loaded = new Set<string>();
  readonly #refreshed = new Set<string>();
  readonly #notes = new Set<string>();
  #erased = 0;

  constructor(ctx: Context, request: OpenRequest, source: Source) {
    this.#ctx = ctx;
    this.#request = request;
    this.#source = source;
  }

  get moment(): string {
    return formatMoment(this.#source.chain.moment);
  }
  /** Backups that are read, base first. */
  get backups(): readonly string[] {
    return this.#source.chain.logs.map((m) => m.id);
  }
  get engine(): Engine['name'] {
    return this.#engine.name;
  }
  /** What differs from the database as it was: order of text, objects that could not be made. */
  get notes(): readonly string[] {
    return [...this.#notes];
  }
  /** Rows that were left out because the person who owned them is erased, in the tables loaded so far. */
  get erased(): number {
    return this.#erased;
  }
  /** Tables that are loaded. */
  get loaded(): readonly string[] {
    return [...this.#loaded].sort();
  }

  async start(): Promise<void> {
    const wanted = this.#request.engine ?? 'auto';
    if (wanted !== 'scratch') {
      const refusal = await this.#try(openPglite).catch((error: unknown) => error);
      if (refusal === undefined) return;
      const unfit = refusal instanceof HoldfastError && /^HF_ENGINE_/.test(refusal.code);
      if (wanted === 'pglite' || !unfit) throw refusal;
    }
    await this.#try(this.#request.scratch);
  }

  /** Puts the schema into a new engine. */
  async #try(make: EngineMaker): Promise<void> {
    const { schema, chain, reader } = this.#source;
    const engine = await make(schema);
    try {
      const missing = engine.name === 'pglite' ? missingExtensions(schema) : [];
      const notes = await makeSchema(engine, schema, missing);
      this.#loader = await Loader.prepare(this.#ctx, engine.admin, { reader, chain, tenant: this.#request.tenant });
      this.#engine = engine;
      this.#loaded.clear();
      this.#refreshed.clear();
      for (const note of [...engine.notes, ...notes]) this.#notes.add(note);
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  /**
   * Runs one query. Its rows must be read to their end before the next.
   * @throws RestoreError HF_QUERY_INVALID (with line and column), HF_QUERY_READ_ONLY, HF_QUERY_DENIED, HF_QUERY_TIMEOUT,
   * HF_QUERY_FAILED, HF_QUERY_TABLE_ABSENT; DatabaseError HF_ENGINE_SIZE
   */
  async query(text: string, limits: QueryLimits = {}): Promise<QueryResult> {
    const sql = oneQuery(text);
    const needs = await this.#needs(sql);
    await this.#provide(needs);
    const timeout = limits.timeout ?? 60_000;
    const options = { role: this.#engine.reader, searchPath: this.#searchPath(), timeout };
    if (this.#engine.name === 'scratch') return runQuery(this.#engine.queries, sql, options);
    return this.#watched(timeout, () => runQuery(this.#engine.queries, sql, options));
  }

  async close(): Promise<void> {
    await this.#engine.close();
  }

  async #needs(sql: string): Promise<Needs> {
    const { admin } = this.#engine;
    const path = this.#searchPath().map((s) => `"${s.replaceAll('"', '""')}"`);
    await admin.query("select set_config('search_path', $1, false)", [path.join(', ')]);
    try {
      return await readNeeds(admin, sql);
    } catch (error) {
      throw this.#withHint(queryError(error, { sql, before: VIEW_HEAD.length }));
    } finally {
      await admin.query("select set_config('search_path', 'pg_catalog', false)");
    }
  }

  /** Loads what is not there yet, in a larger engine where this one is too small, and lets the reader see it. */
  async #provide(needs: Needs): Promise<void> {
    const held = this.#loader.tables;
    const absent = needs.tables.filter((name) => !held.includes(name));
    if (absent.length > 0) throw this.#absent(absent);
    const wanted = needs.everything ? held : needs.tables;
    const total = this.#loader.estimate([...new Set([...wanted, ...this.#loaded])]);
    if (this.#engine.name === 'pglite' && total > PGLITE_AUTO) await this.#outgrow(total);
    const missing = wanted.filter((name) => !this.#loaded.has(name));
    if (missing.length > 0) {
      this.#erased += await this.#loader.load(missing);
      for (const name of missing) this.#loaded.add(name);
    }
    await this.#show(needs, wanted);
  }

  async #outgrow(bytes: number): Promise<void> {
    if ((this.#request.engine ?? 'auto') === 'auto') {
      await this.#engine.close();
      await this.#try(this.#request.scratch);
    } else if (bytes > PGLITE_MOST) {
      throw new RestoreError(
        'HF_ENGINE_SIZE',
        `The tables of this query come to about ${Math.round(bytes / 2 ** 20)} MiB, more than PostgreSQL in this process can hold.`,
        { action: 'Use --engine scratch.', details: { bytes: Math.round(bytes), limit: PGLITE_MOST } },
      );
    }
  }

  async #show(needs: Needs, tables: readonly string[]): Promise<void> {
    const { admin, reader } = this.#engine;
    const role = `"${reader}"`;
    await transaction(admin, '', async () => {
      for (const view of needs.materialized) {
        if (!this.#refreshed.has(view)) await admin.query(`refresh materialized view ${view}`);
      }
      const schemas = (await admin.query<{ sql: string }>(SCHEMAS)).rows.map((r) => r.sql);
      if (schemas.length > 0) await admin.query(`grant usage on schema ${schemas.join(', ')} to ${role}`);
      const named = tables.map((name) => qualified(...nameParts(name)));
      const { rows } = await admin.query<{ sql: string }>(
        'select distinct p.relid::regclass::text as sql from unnest($1::regclass[]) t, pg_partition_tree(t) p',
        [named],
      );
      const all = [...new Set([...named, ...rows.map((r) => r.sql), ...needs.views])];
      if (all.length > 0) await admin.query(`grant select on ${all.join(', ')} to ${role}`);
    });
    for (const view of needs.materialized) this.#refreshed.add(view);
  }

  /** PGlite keeps no time itself: a query that takes too long is ended with its engine, and the next begins in a new one. */
  async #watched(timeout: number, work: () => Promise<QueryResult>): Promise<QueryResult> {
    const engine = this.#engine;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      void engine.kill();
    }, timeout);
    const given = async (error: unknown) => {
      clearTimeout(timer);
      if (!late) throw error;
      await this.#try(openPglite);
      throw timedOut(error);
    };
    try {
      const result = await work();
      async function* rows() {
        try {
          yield* result.rows;
        } catch (error) {
          await given(error);
        } finally {
          clearTimeout(timer);
        }
      }
      return { columns: result.columns, rows: rows() };
    } catch (error) {
      return given(error) as never;
    }
  }

  #searchPath(): readonly string[] {
    const schemas = new Set(['public', ...this.#ctx.map.tables.map((t) => splitTableName(t.name).schema)]);
    return ['pg_catalog', ...schemas];
  }

  #absent(tables: readonly string[]): RestoreError {
    return new RestoreError('HF_QUERY_TABLE_ABSENT', `These backups hold no rows of ${tables.join(', ')}.`, {
      action:
        'It was left out of the backups or of the data map; ask for another moment, or for tables that they hold.',
      details: { tables, held: this.#loader.tables },
    });
  }

  /** Names the table that was probably meant. */
  #withHint(error: unknown): unknown {
    if (!(error instanceof RestoreError) || error.details.sqlstate !== '42P01') return error;
    const name = /relation "([^"]+)" does not exist/.exec(error.message)?.[1] ?? '';
    const short = this.#loader.tables.map((t) => t.replace(/^public\./, ''));
    return new RestoreError(error.code, error.message, {
      cause: error,
      action: `Name a table or view of that moment.${didYouMean(name, short)}`,
      details: { ...error.details, tables: this.#loader.tables },
    });
  }
}

const nameParts = (name: string): [string, string] => {
  const { schema, relname } = splitTableName(name);
  return [schema, relname];
};

const SCHEMAS = `select quote_ident(nspname) as sql from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'`;
