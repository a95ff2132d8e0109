/** Numbers that are a function of their position, so that each table can be written on its own and still agree. */
import { Random } from '../bench/prove/suite.ts';

/** A good 32-bit mixer (lowbias32): a bijection, so different inputs stay different. */
function mix(n: number): number {
  let x = n >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

/** The generator of item `index` of stream `stream`. */
export const randomAt = (seed: number, stream: number, index: number): Random =>
  new Random(mix(mix(mix(seed) ^ Math.imul(stream, 0x9e3779b1)) ^ index));

const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, '0');

/** A random-looking version 4 UUID, different for each index of a stream because its first word is a bijection. */
export function uuidAt(seed: number, stream: number, index: number): string {
  const base = mix(seed) ^ Math.imul(stream, 0x9e3779b1);
  const a = mix(index ^ base);
  const b = hex(mix(a ^ base));
  const c = hex(mix(a + 0x85ebca6b));
  const d = hex(mix(a ^ 0xc2b2ae35));
  return `${hex(a)}-${b.slice(0, 4)}-4${b.slice(5)}-${'89ab'.charAt(a & 3)}${c.slice(1, 4)}-${c.slice(4)}${d}`;
}

/** `count` bytes as hex digits. */
export function bytesHex(random: Random, count: number): string {
  let text = '';
  for (let i = 0; i < count; i += 4) text += hex(Math.floor(random.next() * 4294967296));
  return text.slice(0, count * 2);
}

/** A permutation of 0…size-1: four Feistel rounds, walked until the result is inside. */
export function permutation(seed: number, size: number): (index: number) => number {
  const bits = Math.max(1, Math.ceil(Math.log2(Math.max(2, size)) / 2));
  const mask = 2 ** bits - 1;
  return (index) => {
    let value = index;
    do {
      let left = Math.floor(value / (mask + 1));
      let right = value & mask;
      for (let round = 0; round < 4; round++) {
        [left, right] = [right, left ^ (mix(right + mix(seed + round)) & mask)];
      }
      value = left * (mask + 1) + right;
    } while (value >= size);
    return value;
  };
}
