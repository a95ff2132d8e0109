/**
 * A byte stream sealed in frames: each at most 1 MiB of plaintext, compressed, then AES-256-GCM with the position and a
 * last-frame flag in the nonce (the STREAM construction), so that a frame cannot be moved, repeated or left out, and an
 * end that was cut off is noticed. The key is used for one stream only.
 */
import type { KeyObject } from 'node:crypto';
import { IntegrityError } from '../errors.ts';
import { NONCE_BYTES, open, seal, TAG_BYTES } from './seal.ts';
import { compressZstd, decompressZstd } from './zstd.ts';

export const FRAME_PLAINTEXT = 1 << 20;
const WORD = 4;
const LAST = 0x80000000;

function nonceOf(counter: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUInt32BE(counter, 7);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

/** Seals `plaintext`; pieces to be written one after the other. */
export async function sealFrames(key: KeyObject, plaintext: Uint8Array): Promise<Buffer[]> {
  const pieces: (Buffer | Promise<Buffer>)[] = [];
  for (let at = 0; at === 0 || at < plaintext.length; at += FRAME_PLAINTEXT)
    pieces.push(compressZstd(plaintext.subarray(at, at + FRAME_PLAINTEXT)));
  const compressed = await Promise.all(pieces);
  return compressed.flatMap((body, counter) => sealFrame(key, counter, counter === compressed.length - 1, body));
}

/** One frame of a stream, in pieces. `body` is sealed as it is; at most `FRAME_PLAINTEXT` bytes, or a little more when zstd grew it. */
export function sealFrame(key: KeyObject, counter: number, last: boolean, body: Uint8Array): Buffer[] {
  const word = Buffer.alloc(WORD);
  word.writeUInt32BE((body.length | (last ? LAST : 0)) >>> 0);
  return [word, ...seal(key, nonceOf(counter, last), word, body)];
}

/** How many bytes the frame that begins at `at` takes; undefined when `bytes` ends before it says so. */
export function frameLength(bytes: Buffer, at: number): number | undefined {
  return bytes.length - at < WORD ? undefined : WORD + (bytes.readUInt32BE(at) & ~LAST) + TAG_BYTES;
}

/** The body of the frame that begins at `at`, or undefined when it is not what was sealed there. */
export function openFrame(
  key: KeyObject,
  counter: number,
  bytes: Buffer,
  at: number,
): { body: Buffer; last: boolean } | undefined {
  const length = frameLength(bytes, at);
  if (length === undefined || at + length > bytes.length) return undefined;
  const word = bytes.subarray(at, at + WORD);
  const last = (word[0]! & 0x80) !== 0;
  const tagAt = at + length - TAG_BYTES;
  const sealed = bytes.subarray(at + WORD, tagAt);
  const body = open(key, nonceOf(counter, last), word, sealed, bytes.subarray(tagAt, at + length));
  return body && { body, last };
}

/** Where a frame stands, relative to the start of `bytes`. */
export interface FrameRange {
  readonly offset: number;
  readonly length: number;
}

/** A frame that does not open. `range` is relative to the bytes given to `openFrames`. */
export class FrameError extends IntegrityError {
  readonly range: FrameRange;

  constructor(message: string, range: FrameRange) {
    super('HF_FRAME_CORRUPT', message, { action: 'Restore this object from another copy.', details: { ...range } });
    this.range = range;
  }
}

/**
 * Opens the frames that begin at `start`. `end` is where they stop: the offset after the last frame.
 * @throws FrameError for the first frame that is not as it was sealed
 */
export async function openFrames(
  key: KeyObject,
  bytes: Buffer,
  start: number,
): Promise<{ plaintext: Buffer; end: number }> {
  const pieces: Promise<Buffer>[] = [];
  let at = start;
  for (let counter = 0, last = false; !last; counter++) {
    const rest = { offset: at, length: bytes.length - at };
    if (rest.length < WORD + TAG_BYTES) {
      await Promise.allSettled(pieces);
      throw new FrameError(`The slab ends where frame ${counter} should begin.`, rest);
    }
    const end = at + frameLength(bytes, at)!;
    const range = { offset: at, length: Math.min(end, bytes.length) - at };
    const frame = openFrame(key, counter, bytes, at);
    if (!frame) {
      await Promise.allSettled(pieces);
      throw new FrameError(`Frame ${counter} is not what was sealed here.`, range);
    }
    pieces.push(decompress(frame.body, counter, range));
    last = frame.last;
    at = end;
  }
  const opened = await Promise.all(pieces);
  return { plaintext: opened.length === 1 ? opened[0]! : Buffer.concat(opened), end: at };
}

async function decompress(body: Buffer, counter: number, range: FrameRange): Promise<Buffer> {
  try {
    return await decompressZstd(body, FRAME_PLAINTEXT);
  } catch {
    throw new FrameError(`Frame ${counter} was sealed with content that is not zstd.`, range);
  }
}
