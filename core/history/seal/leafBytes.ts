/**
 * What leaf.ts says of texts, done on the bytes of lines that nothing is escaped in. A verification looks at millions of rows, and
 * making texts of them, piece by piece, would be most of its work. leaf.ts has the last word: what is not plain, and what
 * differs here, is looked at there.
 */
import { hash } from 'node:crypto';
import { COMMITMENT, FIELDS, LEAF, SCALARS_END } from './leaf.ts';
import type { LineBatch } from './lineBytes.ts';

const [TAB, SPACE, QUOTE, COMMA, COLON, BACKSLASH] = [9, 32, 34, 44, 58, 92];
const [BRACKET, END_BRACKET, BRACE, END_BRACE] = [91, 93, 123, 125];
const [LETTER_N, LETTER_CAPITAL_N] = [110, 78];
const [COMMITMENT_BYTES, LEAF_BYTES, HEX] = [COMMITMENT, LEAF, '0123456789abcdef'].map((text) => Buffer.from(text)) as [
  Buffer,
  Buffer,
  Buffer,
];
const CHANGES = FIELDS - 1;

/** Names of a table's open columns as bytes. */
export type OpenNames = readonly Buffer[] | undefined;

export class LeafHasher {
  #committed = begun(COMMITMENT_BYTES);
  #leaf = begun(LEAF_BYTES);

  /**
   * The leaf of a line as a binary text of 32 characters; undefined: it is not plain, and leaf.ts must be asked.
   * @param salts where the row's 16 bytes lie, at `saltAt`
   */
  leafOf(
    batch: LineBatch,
    line: number,
    salts: Uint8Array,
    saltAt: number,
    context: Uint8Array,
    open: OpenNames,
  ): string | undefined {
    const { bytes } = batch;
    const [first, scalars] = [batch.start(line, 0), batch.stop(line, SCALARS_END - 1)];
    const [changes, end] = [batch.start(line, CHANGES), batch.stop(line, CHANGES)];
    this.#room(end - first + context.length + 128);

    const committed = this.#committed;
    let c = writeHex(committed, COMMITMENT.length, salts, saltAt, 16);
    committed[c++] = TAB;
    c += bytes.copy(committed, c, scalars + 1, changes); // the tab behind it comes along
    committed.set(context, c);
    c += context.length;
    committed[c++] = TAB;

    const leaf = this.#leaf;
    let l = LEAF.length + bytes.copy(leaf, LEAF.length, first, scalars + 1);

    if (end - changes === 2 && bytes[changes] === BACKSLASH && bytes[changes + 1] === LETTER_CAPITAL_N) {
      c += bytes.copy(committed, c, changes, end);
      l += bytes.copy(leaf, l, changes, end);
    } else {
      if (bytes[changes] !== BRACE || bytes[end - 1] !== END_BRACE) return undefined;
      const [shown, hidden] = [l, c];
      leaf[l++] = BRACE;
      committed[c++] = BRACE;
      // Entries of one kind that follow each other are copied together.
      let [from, stop, isOpen] = [changes + 1, changes + 1, false];
      for (let at = changes + 1; at < end - 1; at = stop + 2) {
        const nameEnd = stringEnd(bytes, at, end);
        if (nameEnd < 0 || bytes[nameEnd] !== COLON || bytes[nameEnd + 1] !== SPACE) return undefined;
        const kind = open !== undefined && among(open, bytes, at + 1, nameEnd - 1);
        if (kind !== isOpen && at > from) {
          if (isOpen) l = append(leaf, l, shown, bytes, from, stop);
          else c = append(committed, c, hidden, bytes, from, stop);
        }
        if (kind !== isOpen) from = at;
        isOpen = kind;
        stop = valueEnd(bytes, nameEnd + 2, end);
        if (stop < 0) return undefined;
        if (stop === end - 1) break;
        if (bytes[stop] !== COMMA || bytes[stop + 1] !== SPACE || bytes[stop + 2] !== QUOTE) return undefined;
      }
      if (isOpen) l = append(leaf, l, shown, bytes, from, stop);
      else if (stop > from) c = append(committed, c, hidden, bytes, from, stop);
      leaf[l++] = END_BRACE;
      committed[c++] = END_BRACE;
    }
    leaf[l++] = TAB;
    l += leaf.write(hash('sha256', committed.subarray(0, c), 'hex'), l, 'latin1');
    return hash('sha256', leaf.subarray(0, l), 'binary');
  }

  #room(size: number): void {
    if (size <= this.#leaf.length) return;
    this.#committed = begun(COMMITMENT_BYTES, size * 2);
    this.#leaf = begun(LEAF_BYTES, size * 2);
  }
}

function begun(prefix: Buffer, size = 1 << 16): Buffer {
  const buffer = Buffer.alloc(size);
  prefix.copy(buffer);
  return buffer;
}

/** Adds entries to an object that begins at `start`. */
function append(to: Buffer, at: number, start: number, from: Buffer, begin: number, end: number): number {
  let place = at;
  if (at > start + 1) {
    to[place++] = COMMA;
    to[place++] = SPACE;
  }
  return place + from.copy(to, place, begin, end);
}

function writeHex(to: Buffer, at: number, from: Uint8Array, start: number, count: number): number {
  let place = at;
  for (let i = start; i < start + count; i++) {
    const byte = from[i]!;
    to[place++] = HEX[byte >> 4]!;
    to[place++] = HEX[byte & 15]!;
  }
  return place;
}

/** Just past the string that begins at `at`; -1: there is none, or something in it is escaped. */
function stringEnd(bytes: Buffer, at: number, end: number): number {
  if (bytes[at] !== QUOTE) return -1;
  for (let i = at + 1; i < end; i++) {
    const byte = bytes[i];
    if (byte === QUOTE) return i + 1;
    if (byte === BACKSLASH) return -1;
  }
  return -1;
}

/** Just past a string, null, or a pair of these; -1: it is something else. */
function valueEnd(bytes: Buffer, at: number, end: number): number {
  if (bytes[at] !== BRACKET) return scalarEnd(bytes, at, end);
  const middle = scalarEnd(bytes, at + 1, end);
  if (middle < 0 || bytes[middle] !== COMMA || bytes[middle + 1] !== SPACE) return -1;
  const stop = scalarEnd(bytes, middle + 2, end);
  return stop > 0 && bytes[stop] === END_BRACKET ? stop + 1 : -1;
}

function scalarEnd(bytes: Buffer, at: number, end: number): number {
  if (bytes[at] === QUOTE) return stringEnd(bytes, at, end);
  const isNull = bytes[at] === LETTER_N && bytes[at + 1] === 117 && bytes[at + 2] === 108 && bytes[at + 3] === 108;
  return isNull ? at + 4 : -1;
}

function among(names: readonly Buffer[], bytes: Buffer, start: number, stop: number): boolean {
  for (const name of names) {
    if (name.length !== stop - start) continue;
    let i = 0;
    while (i < name.length && name[i] === bytes[start + i]) i++;
    if (i === name.length) return true;
  }
  return false;
}
