/** Finding one's way in the bytes of COPY text rows. These run for every row of a backup, so they compare words. */
import { Buffer } from 'node:buffer';

const TAB = 9;
export const NEWLINE = 10;
export const BACKSLASH = 92;
export const CAPITAL_N = 78;

/** Bytes, and a view of the same memory. Reads of words may reach up to three bytes past what they look at. */
export interface Text {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

export function same(a: Text, at: number, b: Text, from: number, length: number): boolean {
  let i = 0;
  for (; i + 4 <= length; i += 4) if (a.view.getInt32(at + i) !== b.view.getInt32(from + i)) return false;
  for (; i < length; i++) if (a.bytes[at + i] !== b.bytes[from + i]) return false;
  return true;
}

/** FNV-1a over words. Collisions only cost a comparison. */
export function hashOf({ bytes, view }: Text, at: number, length: number): number {
  let hash = 0x811c9dc5;
  let i = 0;
  for (; i + 4 <= length; i += 4) hash = Math.imul(hash ^ view.getInt32(at + i), 0x01000193);
  for (; i < length; i++) hash = Math.imul(hash ^ bytes[at + i]!, 0x01000193);
  hash ^= hash >>> 15;
  return hash;
}

/** Where the field that begins at `from` ends. */
export function fieldEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  while (bytes[at] !== TAB && bytes[at] !== NEWLINE) at++;
  return at;
}

/** The position after `fields` more tabs. In COPY text a tab inside a value is written `\t`, so every tab is a delimiter. */
export function skip({ bytes, view }: Text, from: number, fields: number): number {
  let at = from;
  let left = fields;
  while (left > 0) {
    const word = view.getInt32(at, true) ^ 0x09090909;
    if (((word - 0x01010101) & ~word & 0x80808080) === 0) {
      at += 4; // no tab among these four bytes
    } else {
      for (let i = 0; i < 4 && left > 0; i++) if (bytes[at++] === TAB) left--;
    }
  }
  return at;
}

/** The position of the field that has `fields - 1` fields behind it; `from` is the newline. */
export function skipBack(bytes: Uint8Array, from: number, fields: number): number {
  let at = from;
  let left = fields;
  while (left > 0) if (bytes[--at] === TAB) left--;
  return at + 1;
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** The value of a COPY text field, null for `\N`. */
export function copyText(bytes: Uint8Array, start: number, stop: number): string | null {
  const text = Buffer.from(bytes.buffer, start, stop - start).toString('utf8');
  if (!bytes.subarray(start, stop).includes(BACKSLASH)) return text;
  return text === '\\N' ? null : text.replace(/\\(.)/gs, (_, c: string) => ESCAPES[c] ?? c);
}
