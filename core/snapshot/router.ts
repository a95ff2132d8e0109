/** Sends the rows of a COPY to the spool, each to the chunk that its tenant is in. */
import { RowArena } from './arena.ts';
import type { RowSink } from './copyRows.ts';
import type { RowFeed } from './parts.ts';
import { PrefixTable } from './prefixTable.ts';
import { copyText, fieldEnd, same } from './scan.ts';
import type { RowLayout } from './split.ts';
import type { Spool } from './spool.ts';

/** Bytes gathered for a chunk before they go to the file. */
const PIECE = 128 << 10;
/** Type and length before each row, as they came over the wire; rows are kept with them, so that they can be told apart. */
const HEADER = 5;

const nameOf = (table: string, chunk: number) => `${chunk} ${table}`;

/** One table at a time; the arena's gathered area holds a piece for each chunk, its wire area what comes in. */
export class Router implements RowSink {
  readonly passing = true;
  readonly arena: RowArena;
  readonly #spool: Spool;
  readonly #chunkOf: ReadonlyMap<string, number>;
  readonly #chunks: number;
  readonly #filled: Uint32Array;
  #table = '';
  #field = 0;
  #prefixes = new PrefixTable();
  /** Chunk of each prefix that was seen. */
  #targets: number[] = [];
  #last = -1;

  /** @param chunkOf the chunk of each tenant, counted from 0 */
  constructor(spool: Spool, chunkOf: ReadonlyMap<string, number>, chunks: number) {
    this.#spool = spool;
    this.#chunkOf = chunkOf;
    this.#chunks = chunks;
    this.#filled = new Uint32Array(chunks);
    this.arena = new RowArena(chunks * PIECE);
    this.arena.kept = chunks * PIECE;
  }

  begin(table: string, layout: RowLayout): void {
    this.#table = table;
    this.#field = layout.tenantField;
    this.#prefixes = new PrefixTable();
    this.#targets = [];
    this.#last = -1;
    this.arena.end = this.arena.base;
  }

  row(start: number, stop: number): void {
    const chunk = this.#chunk(start);
    const from = start - HEADER;
    const length = stop - from;
    let filled = this.#filled[chunk]!;
    if (filled + length > PIECE) {
      this.#flush(chunk);
      filled = 0;
      if (length > PIECE) {
        this.#spool.add(nameOf(this.#table, chunk), this.arena.bytes.subarray(from, stop));
        return;
      }
    }
    this.arena.bytes.copyWithin(chunk * PIECE + filled, from, stop);
    this.#filled[chunk] = filled + length;
  }

  /** To be called when the table has ended. */
  finish(): void {
    for (let chunk = 0; chunk < this.#chunks; chunk++) this.#flush(chunk);
  }

  #flush(chunk: number): void {
    const filled = this.#filled[chunk]!;
    if (filled === 0) return;
    this.#spool.add(nameOf(this.#table, chunk), this.arena.bytes.subarray(chunk * PIECE, chunk * PIECE + filled));
    this.#filled[chunk] = 0;
  }

  #chunk(start: number): number {
    const { arena } = this;
    const at = this.#field === 0 ? start : fieldEnd(arena.bytes, start) + 1;
    const prefixes = this.#prefixes;
    if (this.#last >= 0) {
      // Rows of a tenant often come together.
      const known = prefixes.start(this.#last);
      const length = prefixes.stop(this.#last) - known;
      if (at + length <= arena.end && same(prefixes.kept, known, arena, at, length)) return this.#targets[this.#last]!;
    }
    const stop = fieldEnd(arena.bytes, at) + 1; // with the delimiter, so that 12 is not taken for 123
    const index = prefixes.find(arena, at, stop - at);
    if (index === this.#targets.length) {
      const tenant = copyText(arena.bytes, at, stop - 1);
      // A tenant whose name is written in another way here than in its own table is as well kept in any chunk.
      this.#targets.push(this.#chunkOf.get(tenant ?? '') ?? this.#chunks - 1);
    }
    this.#last = index;
    return this.#targets[index]!;
  }
}

/** The rows of one table and chunk, as if they came from the database. */
export function spooled(spool: Spool, table: string, chunk: number): RowFeed {
  return async (first, sink) => {
    let arena = first;
    for (const piece of spool.pieces(nameOf(table, chunk))) {
      let at = arena.end;
      arena.append(piece);
      const { view, end } = arena;
      while (at < end) {
        const next = at + 1 + view.getInt32(at + 1);
        sink.row(at + HEADER, next);
        at = next;
      }
      if (sink.full?.()) arena = await sink.swap!();
    }
  };
}
