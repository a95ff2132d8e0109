/** How much is in flight at once: many small files, or a few large ones, so that memory stays flat. */
const FILES = 16;
const BYTES = 64 << 20;

export class Budget {
  #files = 0;
  #bytes = 0;
  readonly #waiting: { readonly bytes: number; readonly go: () => void }[] = [];

  /** Runs `work`, which needs about `bytes` of memory, in its turn. */
  async run<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const share = Math.min(bytes, BYTES);
    if (this.#waiting.length > 0 || !this.#fits(share)) {
      await new Promise<void>((go) => this.#waiting.push({ bytes: share, go }));
    } else this.#take(share);
    try {
      return await work();
    } finally {
      this.#files--;
      this.#bytes -= share;
      while (this.#waiting[0] && this.#fits(this.#waiting[0].bytes)) {
        const next = this.#waiting.shift()!;
        this.#take(next.bytes);
        next.go();
      }
    }
  }

  #fits(bytes: number): boolean {
    return this.#files < FILES && (this.#files === 0 || this.#bytes + bytes <= BYTES);
  }

  #take(bytes: number): void {
    this.#files++;
    this.#bytes += bytes;
  }
}
