/** From a change's seq to the number of its leaf: of a few hundred thousand, in a few megabytes and without an object for each. */
export class SeqIndex {
  /** Number + 1 of the leaf whose seq hashes here or before; 0: free. */
  #slots = new Int32Array(1024);
  #low = new Uint32Array(256);
  #high = new Uint32Array(256);
  size = 0;

  /** A seq that is there already then stands for the later leaf. */
  add(high: number, low: number): void {
    if (this.size === this.#low.length) this.#grow();
    this.#low[this.size] = low;
    this.#high[this.size] = high;
    this.size += 1;
    this.#place(this.size - 1);
  }

  /** @returns -1 when there is none */
  find(seq: number): number {
    const low = seq % 4294967296;
    const at = this.#slots[this.#slotOf((seq - low) / 4294967296, low)]!;
    return at - 1;
  }

  #place(number: number): void {
    this.#slots[this.#slotOf(this.#high[number]!, this.#low[number]!)] = number + 1;
  }

  /** The slot that has it, or the free one where it would be. */
  #slotOf(high: number, low: number): number {
    const mask = this.#slots.length - 1;
    let slot = (Math.imul(low, 0x9e3779b1) ^ Math.imul(high, 0x85ebca6b)) >>> 7;
    for (;;) {
      slot &= mask;
      const at = this.#slots[slot]! - 1;
      if (at < 0 || (this.#low[at] === low && this.#high[at] === high)) return slot;
      slot += 1;
    }
  }

  #grow(): void {
    const [low, high] = [this.#low, this.#high];
    this.#low = new Uint32Array(low.length * 2);
    this.#high = new Uint32Array(low.length * 2);
    this.#low.set(low);
    this.#high.set(high);
    this.#slots = new Int32Array(this.#low.length * 4);
    for (let number = 0; number < this.size; number++) this.#place(number);
  }
}
