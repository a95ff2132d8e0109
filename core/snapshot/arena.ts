/**
 * The memory of one chunk. Rows arrive behind `base` as they come over the wire and are gathered, grouped by tenant and
 * person, before it: both lie in one buffer because `copyWithin` moves a row without making an object for it, and a
 * backup moves millions. (Not in memory shared with other threads:
 * there `copyWithin` is four times as slow.)
 */
export class RowArena {
  bytes: Uint8Array<ArrayBuffer>;
  view: DataView<ArrayBuffer>;
  /** Where the wire area begins. */
  base: number;
  /** Gathered bytes: `[0, kept)`. */
  kept = 0;
  /** End of the wire area's content, absolute. */
  end: number;

  /** @param capacity bytes expected of each of the two areas; both grow when a single row needs it */
  constructor(capacity: number) {
    const buffer = new ArrayBuffer(capacity * 2 + SLACK);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.base = capacity;
    this.end = capacity;
  }

  /** Forgets everything, keeps the memory. Views handed out before become invalid. */
  reset(): void {
    this.kept = 0;
    this.end = this.base;
  }

  /** Gives the memory away, for another thread to read; until `takeBack` the arena has none. */
  lend(): ArrayBuffer {
    const { buffer } = this.bytes;
    this.#use(new ArrayBuffer(0));
    return buffer;
  }

  takeBack(buffer: ArrayBuffer): void {
    this.#use(buffer);
  }

  #use(buffer: ArrayBuffer): void {
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
  }

  /** Bytes in use. */
  get size(): number {
    return this.kept + this.end - this.base;
  }

  append(chunk: Uint8Array): void {
    if (this.end + chunk.length + SLACK > this.bytes.length) this.#grow(this.base, this.end - this.base + chunk.length);
    this.bytes.set(chunk, this.end);
    this.end += chunk.length;
  }

  /** Makes room for `size` more gathered bytes; `base` may move. */
  reserve(size: number): void {
    const needed = this.kept + size;
    if (needed > this.base) this.#grow(Math.max(needed, this.base * 2), this.end - this.base);
  }

  #grow(base: number, wire: number): void {
    const area = Math.max(wire * 2, this.bytes.length - this.base - SLACK);
    const buffer = new ArrayBuffer(base + area + SLACK);
    const bytes = new Uint8Array(buffer);
    bytes.set(this.bytes.subarray(0, this.kept));
    bytes.set(this.bytes.subarray(this.base, this.end), base);
    this.end = base + this.end - this.base;
    this.#use(buffer);
    this.base = base;
  }
}

/** Words are read four bytes at a time and may reach past the last row. */
const SLACK = 16;

/** A fixed number of arenas: whoever wants one more waits, and that is what keeps memory flat. */
export class ArenaPool {
  readonly #free: RowArena[] = [];
  readonly #waiting: ((arena: RowArena) => void)[] = [];
  readonly #capacity: number;
  #left: number;

  constructor(count: number, capacity: number) {
    this.#left = count;
    this.#capacity = capacity;
  }

  async acquire(): Promise<RowArena> {
    const arena = this.#free.pop();
    if (arena) return arena;
    if (this.#left > 0) {
      this.#left--;
      return new RowArena(this.#capacity);
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  release(arena: RowArena): void {
    arena.reset();
    const next = this.#waiting.shift();
    if (next) next(arena);
    else this.#free.push(arena);
  }
}
