/** Rows of the trail as lines of bytes (leaf.ts says which columns), and the places of their fields. */
import { FIELDS } from './leaf.ts';

const TAB = 9;
/** Where a line begins, where its other fields begin, and where it ends. */
const WIDTH = FIELDS + 1;
const ACTOR = 12;
const TABLE = 4;
const ORGANIZATION = 6;

export class LineBatch {
  bytes: Buffer = Buffer.alloc(0);
  count = 0;
  #places = new Int32Array(1024 * WIDTH);

  /** @param stop of the line, without its newline */
  add(start: number, stop: number): void {
    const place = this.count * WIDTH;
    if (place + WIDTH > this.#places.length) {
      const more = new Int32Array(this.#places.length * 2);
      more.set(this.#places);
      this.#places = more;
    }
    this.#places[place] = start;
    this.#places[place + FIELDS] = stop + 1;
    this.count += 1;
  }

  /** Finds the fields, once `bytes` is what the lines lie in. */
  scan(): void {
    const { bytes } = this;
    const places = this.#places;
    for (let line = 0, place = 0; line < this.count; line++, place += WIDTH) {
      let at = places[place]!;
      const stop = places[place + FIELDS]! - 1;
      for (let field = 1; field < FIELDS; field++) {
        while (at < stop && bytes[at] !== TAB) at++;
        places[place + field] = ++at;
      }
    }
  }

  clear(): void {
    this.count = 0;
  }

  /** Where a field begins. */
  start(line: number, field: number): number {
    return this.#places[line * WIDTH + field]!;
  }

  /** Just past a field: where its tab is, or the newline. */
  stop(line: number, field: number): number {
    return this.#places[line * WIDTH + field + 1]! - 1;
  }

  text(line: number): string {
    return this.bytes.toString('utf8', this.start(line, 0), this.stop(line, FIELDS - 1));
  }

  /** The first field, as a number: exact up to 2^53. */
  seq(line: number): number {
    return this.#number(this.start(line, 0), this.stop(line, 0));
  }

  exactSeq(line: number): bigint {
    const seq = this.seq(line);
    if (seq < Number.MAX_SAFE_INTEGER) return BigInt(seq);
    return BigInt(this.bytes.toString('latin1', this.start(line, 0), this.stop(line, 0)));
  }

  #number(start: number, stop: number): number {
    let value = 0;
    for (let at = start; at < stop; at++) value = value * 10 + this.bytes[at]! - 48;
    return value;
  }

  actor(line: number): string {
    return this.bytes.toString('utf8', this.start(line, ACTOR), this.stop(line, ACTOR));
  }

  /** Id of its table. */
  table(line: number): number {
    return this.#number(this.start(line, TABLE), this.stop(line, TABLE));
  }

  /** Whose the row is, as the field stands. */
  organization(line: number): string {
    return this.bytes.toString('utf8', this.start(line, ORGANIZATION), this.stop(line, ORGANIZATION));
  }

  /** Whether it is of the same actor as the line before. Many that follow each other are, and asking costs less than a text. */
  repeatsActor(line: number): boolean {
    return this.#repeats(line, ACTOR);
  }

  repeatsOrganization(line: number): boolean {
    return this.#repeats(line, ORGANIZATION);
  }

  #repeats(line: number, field: number): boolean {
    if (line === 0) return false;
    const { bytes } = this;
    const [a, b] = [this.start(line, field), this.start(line - 1, field)];
    const length = this.stop(line, field) - a;
    if (this.stop(line - 1, field) - b !== length) return false;
    for (let i = length - 1; i >= 0; i--) if (bytes[a + i] !== bytes[b + i]) return false;
    return true;
  }
}
