/**
 * Runs a COPY … TO STDOUT and hands each row to a sink. The driver would make an object and an event for every row; while
 * the copy lasts, its socket is read here instead, and the framing of the protocol gives the row boundaries for nothing.
 */
import type { Socket } from 'node:net';
import type pg from 'pg';
import { DatabaseError } from '../errors.ts';
import type { RowArena } from './arena.ts';

export interface RowSink {
  /** One row, `[start, stop)` in the arena, newline included. */
  row(start: number, stop: number): void;
  /** Asked after each piece that arrives; true: no more rows until `swap` has given another arena. */
  full?(): boolean;
  swap?(): Promise<RowArena>;
  /** Rows are not needed after `row` has returned: the arena then holds no more than arrives at once. */
  readonly passing?: boolean;
}

const COPY_DATA = 0x64;
const COPY_OUT_RESPONSE = 0x48;
const PASSED_ON = new Set([0x4e, 0x53, 0x41]); // notice, parameter status, notification

/**
 * @param sql a `copy (…) to stdout` in text format; it can carry no parameters
 * @returns bytes of rows received
 * @throws whatever the sink throws (the connection is then closed), and the server's own errors
 */
export function copyRows(client: pg.Client, sql: string, arena: RowArena, sink: RowSink): Promise<number> {
  return new Promise((resolve, reject) => {
    client.query(new CopyQuery(sql, arena, sink, resolve, reject) as unknown as pg.Submittable);
  });
}

interface Connection {
  readonly stream: Socket;
  query(text: string): void;
}

/** What the driver calls a Submittable: it drives one query and is told of its messages. */
class CopyQuery {
  readonly #sql: string;
  #arena: RowArena;
  readonly #sink: RowSink;
  readonly #resolve: (bytes: number) => void;
  readonly #reject: (error: unknown) => void;
  #stream: Socket | undefined;
  #listeners: ((chunk: Buffer) => void)[] = [];
  #at = 0;
  #bytes = 0;
  #failure: unknown;
  #taken = false;

  constructor(
    sql: string,
    arena: RowArena,
    sink: RowSink,
    resolve: (bytes: number) => void,
    reject: (e: unknown) => void,
  ) {
    this.#sql = sql;
    this.#arena = arena;
    this.#sink = sink;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: Connection): void {
    this.#stream = connection.stream;
    this.#listeners = this.#stream.listeners('data') as ((chunk: Buffer) => void)[];
    this.#stream.removeAllListeners('data');
    this.#stream.on('data', this.#onData);
    this.#taken = true;
    this.#at = this.#arena.end;
    connection.query(this.#sql);
  }

  readonly #onData = (chunk: Buffer): void => {
    try {
      this.#arena.append(chunk);
      this.#parse();
      if (this.#taken && this.#sink.passing) this.#forget();
      if (this.#taken && this.#sink.full?.()) this.#swap().catch(this.#fail);
    } catch (error) {
      this.#fail(error);
    }
  };

  readonly #fail = (error: unknown): void => {
    this.#failure = error;
    this.#giveBack();
    this.#stream!.destroy(); // nothing else ends a copy that is under way
    this.#reject(error);
  };

  async #swap(): Promise<void> {
    const arena = this.#arena;
    this.#stream!.pause();
    const rest = arena.bytes.slice(this.#at, arena.end); // part of a row
    arena.end = this.#at;
    this.#arena = await this.#sink.swap!();
    this.#at = this.#arena.end;
    this.#arena.append(rest);
    this.#stream!.resume();
  }

  #forget(): void {
    const arena = this.#arena;
    arena.bytes.copyWithin(arena.base, this.#at, arena.end);
    arena.end += arena.base - this.#at;
    this.#at = arena.base;
  }

  #parse(): void {
    const arena = this.#arena;
    const { view, bytes, end } = arena;
    let at = this.#at;
    while (at + 5 <= end) {
      const type = bytes[at]!;
      const next = at + 1 + view.getInt32(at + 1);
      if (type === COPY_DATA) {
        if (next > end) break;
        this.#sink.row(at + 5, next);
        this.#bytes += next - at - 5;
      } else if (type === COPY_OUT_RESPONSE || PASSED_ON.has(type)) {
        if (next > end) break;
        if (type !== COPY_OUT_RESPONSE) this.#handOver(at, next);
      } else {
        // The copy is over, or failed: the rest is the driver's.
        this.#giveBack();
        this.#handOver(at, end);
        arena.end = at;
        return;
      }
      at = next;
    }
    this.#at = at;
  }

  #handOver(from: number, to: number): void {
    const rest = Buffer.from(this.#arena.bytes.slice(from, to));
    for (const listener of this.#listeners) listener.call(this.#stream, rest);
  }

  #giveBack(): void {
    if (!this.#taken) return;
    this.#taken = false;
    this.#stream!.removeListener('data', this.#onData);
    for (const listener of this.#listeners) this.#stream!.on('data', listener);
  }

  handleError(error: Error): void {
    this.#giveBack();
    if (this.#failure === undefined) this.#reject(error);
  }

  handleReadyForQuery(): void {
    this.#resolve(this.#bytes);
  }

  handleCommandComplete(): void {}

  handleRowDescription(): void {
    this.#failure = new DatabaseError('HF_COPY_EXPECTED', 'The statement returned rows instead of a copy stream.', {
      action: 'Report this: a statement other than COPY was sent where a copy was expected.',
    });
    this.#reject(this.#failure);
  }

  handleDataRow(): void {}
}
