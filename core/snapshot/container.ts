/** Writing an object slab by slab: memory stays at one slab, and the manifest entry is ready when the last one is in. */
import { createHash } from 'node:crypto';
import type { ObjectStore } from '../ports.ts';
import type { ManifestObject, ManifestSlab } from './types.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/**
 * Slabs are added in the order of their ordinals: `sealSlab` for ordinal n may run ahead, `add` may not. After `finish`
 * the object is durable. After an error, or `abort`, there is no object.
 */
export class ObjectWriter {
  readonly #hash = createHash('sha256');
  readonly #slabs: ManifestSlab[] = [];
  readonly #channel = new Channel();
  readonly #written: Promise<void>;
  readonly #about: Pick<ManifestObject, 'name' | 'kind' | 'snapshot'>;
  #size = 0;

  constructor(store: ObjectStore, about: Pick<ManifestObject, 'name' | 'kind' | 'snapshot'>) {
    this.#about = about;
    this.#written = store.putStream(about.name, this.#channel);
    // The failure is thrown by the `add`, `finish` or `abort` that comes next.
    this.#written.catch((error) => this.#channel.fail(error));
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#size;
  }

  /** Resolves when the store has taken the bytes, so that a slow store slows the reader down. */
  async add(about: Pick<ManifestSlab, 'tenant' | 'rows'>, bytes: Buffer): Promise<void> {
    this.#hash.update(bytes);
    this.#slabs.push({ ...about, offset: this.#size, length: bytes.length, sha256: sha256(bytes) });
    this.#size += bytes.length;
    await this.#channel.push(bytes);
  }

  async finish(): Promise<ManifestObject> {
    this.#channel.end();
    await this.#written;
    return { ...this.#about, size: this.#size, sha256: this.#hash.digest('hex'), slabs: this.#slabs };
  }

  /** Gives up: the store drops what it had. */
  async abort(reason: unknown): Promise<void> {
    this.#channel.fail(reason);
    await this.#written.catch(() => {}); // it fails with `reason`, which the caller has
  }
}

/** A hand-over of one piece at a time between `add` and the store's reading loop. */
class Channel implements AsyncIterable<Uint8Array> {
  #piece: Uint8Array | undefined;
  #ended = false;
  #failure: { error: unknown } | undefined;
  #wake: (() => void)[] = [];

  async push(piece: Uint8Array): Promise<void> {
    while (this.#piece && !this.#failure) await this.#change();
    this.#check();
    this.#piece = piece;
    this.#changed();
  }

  end(): void {
    this.#ended = true;
    this.#changed();
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#changed();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      this.#check();
      const piece = this.#piece;
      if (piece) {
        this.#piece = undefined;
        this.#changed();
        yield piece;
      } else if (this.#ended) {
        return;
      } else {
        await this.#change();
      }
    }
  }

  #check(): void {
    if (this.#failure) throw this.#failure.error;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
