/** Numbers byte strings in the order in which they are first seen. An open-addressing hash table with its own copy of them. */
import { hashOf, same, type Text } from './scan.ts';

/** Words are read four bytes at a time and may reach past the last string. */
const SLACK = 4;

export class PrefixTable {
  /** How many there are. */
  size = 0;
  /** The copies, one after the other. */
  kept: Text = textOf(4096);
  #end = 0;
  #slots = new Int32Array(256).fill(-1);
  #hash = new Int32Array(128);
  #at = new Uint32Array(129);

  /** The number of `[at, at + length)`; a new one, equal to the former `size`, when it was not seen before. */
  find(text: Text, at: number, length: number): number {
    const hash = hashOf(text, at, length);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (;;) {
      const known = this.#slots[slot]!;
      if (known < 0) break;
      const start = this.#at[known]!;
      if (
        this.#hash[known] === hash &&
        this.#at[known + 1]! - start === length &&
        same(this.kept, start, text, at, length)
      )
        return known;
      slot = (slot + 1) & mask;
    }
    return this.#add(text, at, length, hash);
  }

  /** Where string `index` begins and ends in `kept`. */
  start = (index: number): number => this.#at[index]!;
  stop = (index: number): number => this.#at[index + 1]!;

  #add(text: Text, at: number, length: number, hash: number): number {
    if (this.size === this.#hash.length) this.#grow();
    if (this.#end + length + SLACK > this.kept.bytes.length) {
      const larger = textOf((this.#end + length + SLACK) * 2);
      larger.bytes.set(this.kept.bytes.subarray(0, this.#end));
      this.kept = larger;
    }
    const index = this.size++;
    this.kept.bytes.set(text.bytes.subarray(at, at + length), this.#end);
    this.#end += length;
    this.#hash[index] = hash;
    this.#at[index + 1] = this.#end;
    this.#insert(index);
    return index;
  }

  #insert(index: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#hash[index]! & mask;
    while (this.#slots[slot]! >= 0) slot = (slot + 1) & mask;
    this.#slots[slot] = index;
  }

  #grow(): void {
    const size = this.#hash.length * 2;
    const hash = new Int32Array(size);
    hash.set(this.#hash);
    const at = new Uint32Array(size + 1);
    at.set(this.#at);
    this.#hash = hash;
    this.#at = at;
    this.#slots = new Int32Array(size * 2).fill(-1);
    for (let index = 0; index < this.size; index++) this.#insert(index);
  }
}

function textOf(size: number): { bytes: Uint8Array; view: DataView } {
  const buffer = new ArrayBuffer(size);
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer) };
}
