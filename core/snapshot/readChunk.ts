/** Reads one chunk: all its tables in one short transaction, one snapshot, split by tenant and person. */

import type pg from 'pg';
import { tableNamed } from '../datamap/reach.ts';
import type { BoundMap } from '../datamap/types.ts';
import { DatabaseError } from '../errors.ts';
import { qualified, READ_SNAPSHOT, transaction } from '../sql.ts';
import type { ArenaPool, RowArena } from './arena.ts';
import { copyRows, type RowSink } from './copyRows.ts';
import type { ChunkSpec } from './plan.ts';
import { type RowSource, rowSource, tablesTouched } from './rowSource.ts';
import { RowSplitter, type TenantRows } from './split.ts';

/** Rows of one table, split by tenant; ranges point into the part's arena. */
export interface PartTable {
  readonly source: Pick<RowSource, 'table' | 'columns' | 'sealed' | 'tenant'>;
  readonly tenants: readonly TenantRows[];
}

/** What becomes one object. Whoever takes it gives the arena back to the pool. */
export interface Part {
  readonly snapshot: string;
  readonly tables: readonly PartTable[];
  readonly arena: RowArena;
  /** Raw bytes of its rows. */
  readonly bytes: number;
}

export interface ReadOptions {
  readonly arenas: ArenaPool;
  /** Raw bytes after which a part is handed over and the next begins; a chunk within its estimate is one part. */
  readonly cut: number;
  /** Takes a part; its promise is not waited for beyond what the pool allows. */
  readonly take: (part: Part) => void;
  /** Column fingerprint that the plan was made under. */
  readonly fingerprint: string;
}

/**
 * Reads the chunk `spec` and hands it over in one part or, when it is larger than `cut`, in several of the same snapshot.
 * @throws DatabaseError HF_SCHEMA_MOVED when a table was altered since the plan was made
 */
export async function readChunk(
  client: pg.Client,
  bound: BoundMap,
  spec: ChunkSpec,
  planned: readonly string[],
  options: ReadOptions,
): Promise<void> {
  const tables = spec.tables.map((name) => tableNamed(bound, name));
  const locked = tablesTouched(bound, tables).map((t) => qualified(t.schema, t.relname));
  const parts = new PartBuilder(options);
  await transaction(client, READ_SNAPSHOT, async () => {
    // Locks first, snapshot after: TRUNCATE and rewrites of a table are not versioned, and would leave an older snapshot
    // with an empty table.
    await client.query(`lock table ${locked.join(', ')} in access share mode`);
    const { rows } = await client.query<{ snapshot: string }>('select pg_current_snapshot()::text as snapshot');
    if ((await columnFingerprint(client, bound)) !== options.fingerprint) throw moved(spec);
    await parts.begin(rows[0]!.snapshot);
    try {
      for (const table of tables) await parts.read(client, rowSource(bound, table, spec, planned));
    } catch (error) {
      parts.drop();
      throw error;
    }
  });
  parts.handOver();
}

/** Changes when any column of a protected table is added, dropped, renamed or retyped. */
export async function columnFingerprint(client: pg.Client, bound: BoundMap): Promise<string> {
  const { rows } = await client.query<{ print: string }>(
    `select md5(coalesce(string_agg(concat_ws(' ', attrelid, attnum, attname, atttypid, atttypmod, attgenerated), ','
                                    order by attrelid, attnum), '')) as print
       from pg_attribute where attrelid = any($1::oid[]) and attnum > 0 and not attisdropped`,
    [bound.tables.map((t) => t.oid)],
  );
  return rows[0]!.print;
}

/** Gathers tables into parts. */
export class PartBuilder {
  readonly #options: Pick<ReadOptions, 'arenas' | 'cut' | 'take'>;
  #snapshot = '';
  #arena: RowArena | undefined;
  #tables: PartTable[] = [];
  #bytes = 0;

  constructor(options: Pick<ReadOptions, 'arenas' | 'cut' | 'take'>) {
    this.#options = options;
  }

  async begin(snapshot: string): Promise<void> {
    this.#snapshot = snapshot;
    this.#arena = await this.#options.arenas.acquire();
  }

  /** Reads all rows of a source; full arenas are handed over on the way. */
  async read(client: pg.Client, source: RowSource): Promise<void> {
    let splitter = new RowSplitter(source.layout, this.#arena!);
    const finish = () => {
      if (splitter.rows > 0) this.#tables.push({ source, tenants: splitter.finish() });
    };
    const sink: RowSink = {
      row: (start, stop) => splitter.row(start, stop),
      full: () => this.#arena!.size > this.#options.cut,
      swap: async () => {
        finish();
        this.handOver();
        this.#arena = await this.#options.arenas.acquire();
        splitter = new RowSplitter(source.layout, this.#arena);
        return this.#arena;
      },
    };
    this.#bytes += await copyRows(client, source.sql, this.#arena!, sink);
    finish();
  }

  /** Gives the part that was gathered to its taker. */
  handOver(): void {
    const arena = this.#arena!;
    const part = { snapshot: this.#snapshot, tables: this.#tables, arena, bytes: arena.kept };
    this.#arena = undefined;
    this.#tables = [];
    if (part.tables.length > 0) this.#options.take(part);
    else this.#options.arenas.release(arena);
  }

  drop(): void {
    if (this.#arena) this.#options.arenas.release(this.#arena);
    this.#arena = undefined;
  }

  get bytes(): number {
    return this.#bytes;
  }
}

const moved = (spec: ChunkSpec) =>
  new DatabaseError('HF_SCHEMA_MOVED', 'A protected table was altered while the backup was running.', {
    action: 'Run the backup again: it starts anew under the new schema.',
    details: { chunk: spec.id, tables: spec.tables },
  });
