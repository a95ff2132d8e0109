/** A store that kills its process, or runs out of space, at a chosen point. Everything else is the real store. */
import type { ObjectStore } from '../../../core/ports.ts';

/** Where to strike: at the n-th write or delete, before it, after its first bytes, or when it is done. */
export interface Trap {
  readonly operation: number;
  readonly when: 'before' | 'during' | 'after';
}

export class TrapStore implements ObjectStore {
  readonly description: string;
  readonly #store: ObjectStore;
  readonly #trap: Trap | undefined;
  #space: number;
  #operations = 0;

  /** `space`: bytes that can be written before the disk is full. */
  constructor(store: ObjectStore, trap: Trap | undefined, space = Number.POSITIVE_INFINITY) {
    this.description = store.description;
    this.#store = store;
    this.#trap = trap;
    this.#space = space;
  }

  put(name: string, body: Uint8Array): Promise<void> {
    return this.putStream(name, single(body));
  }

  async putStream(name: string, body: AsyncIterable<Uint8Array>): Promise<void> {
    const strike = this.#begin();
    await this.#store.putStream(name, this.#watched(body, strike));
    if (strike === 'after') die();
  }

  async delete(name: string): Promise<void> {
    const strike = this.#begin();
    await this.#store.delete(name);
    if (strike) die();
  }

  get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    return this.#store.get(name, range);
  }

  head(name: string): Promise<{ size: number } | undefined> {
    return this.#store.head(name);
  }

  list(prefix: string): AsyncIterable<{ name: string; size: number }> {
    return this.#store.list(prefix);
  }

  #begin(): Trap['when'] | undefined {
    const due = ++this.#operations === this.#trap?.operation;
    if (due && this.#trap?.when === 'before') die();
    return due ? this.#trap?.when : undefined;
  }

  async *#watched(body: AsyncIterable<Uint8Array>, strike: Trap['when'] | undefined): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      this.#space -= piece.length;
      if (this.#space < 0) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      yield piece;
      if (strike === 'during') die();
    }
  }
}

async function* single(body: Uint8Array): AsyncGenerator<Uint8Array> {
  yield body;
}

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  // The signal takes a moment; nothing more may be done meanwhile.
  for (;;);
}
