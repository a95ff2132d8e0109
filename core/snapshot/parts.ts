/** Gathering rows, table by table, into parts; a part becomes one object. */
import type { ArenaPool, RowArena } from './arena.ts';
import type { RowSink } from './copyRows.ts';
import type { RowSource } from './rowSource.ts';
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

export interface PartOptions {
  readonly arenas: ArenaPool;
  /** Raw bytes after which a part is handed over and the next begins; a chunk within its estimate is one part. */
  readonly cut: number;
  /** Takes a part; its promise is not waited for beyond what the pool allows. */
  readonly take: (part: Part) => void;
}

/** Feeds rows into a sink, through its arena: from the database, or from a spool. */
export type RowFeed = (arena: RowArena, sink: RowSink) => Promise<unknown>;

export class PartBuilder {
  readonly #options: PartOptions;
  #snapshot = '';
  #arena: RowArena | undefined;
  #tables: PartTable[] = [];

  constructor(options: PartOptions) {
    this.#options = options;
  }

  async begin(snapshot: string): Promise<void> {
    this.#snapshot = snapshot;
    this.#arena = await this.#options.arenas.acquire();
  }

  /** Takes all rows of a source; full arenas are handed over on the way. */
  async read(source: RowSource, feed: RowFeed): Promise<void> {
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
    await feed(this.#arena!, sink);
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
}
