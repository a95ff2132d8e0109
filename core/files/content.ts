/**
 * The content of one file as an object: a header, then frames. It is sealed under the key of the person who owns the file, so
 * destroying that key erases it from every copy of every backup. Its name is a hash keyed with the owner's key: the same
 * content of the same owner is stored once, and equal contents of two owners cannot be told to be equal, nor a known content be
 * looked for once the key is gone.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { IntegrityError } from '../errors.ts';
import type { ObjectStore } from '../ports.ts';
import { FRAME_PLAINTEXT, frameLength, openFrame, sealFrame } from '../snapshot/frames.ts';
import { derive, secret } from '../snapshot/seal.ts';
import { compressZstd, decompressZstd } from '../snapshot/zstd.ts';
import { contentName } from './names.ts';

const MAGIC = Buffer.from('HFF1');
const SALT_BYTES = 16;
const HEADER_BYTES = MAGIC.length + 1 + SALT_BYTES;
const STORED = 0;
const ZSTD = 1;
/** Sound and pictures do not shrink: then the processor is spared on both ways. */
const WORTHWHILE = 0.97;
/** Read from the store at once; larger than a frame. */
const WINDOW = 4 << 20;

/** Whose key seals a content: a person's, or where there is none, one out of the tenant's. */
export interface Owner {
  readonly tenant: string;
  /** Reference of the person, or null. */
  readonly person: string | null;
  readonly key: Buffer;
}

/** Name of the object for a content. */
export function addressOf(owner: Owner, sha256: Buffer): string {
  const key = derive(owner.key, Buffer.alloc(0), 'holdfast-file-1/address');
  return contentName(owner.tenant, createHmac('sha256', key).update(sha256).digest('hex'));
}

/** The method stands in the info, so that a changed header opens nothing. */
function contentKey(owner: Owner, salt: Uint8Array, object: string, method: number) {
  const info = JSON.stringify(['holdfast-file-1', owner.tenant, owner.person ?? '', object, method]);
  return secret(derive(owner.key, salt, info));
}

/** Pieces of the object for a content. Memory stays at a few frames. */
export async function* sealContent(
  owner: Owner,
  object: string,
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const salt = randomBytes(SALT_BYTES);
  let method: number | undefined;
  let counter = 0;
  let key: ReturnType<typeof contentKey> | undefined;
  for await (const { plaintext, last } of framesOf(body)) {
    // Frames hold what they hold at once: the length of a frame is that of its body.
    let packed: Uint8Array = plaintext;
    if (method === undefined) {
      packed = await compressZstd(plaintext);
      method = packed.length < plaintext.length * WORTHWHILE ? ZSTD : STORED;
      key = contentKey(owner, salt, object, method);
      yield Buffer.concat([MAGIC, Buffer.from([method]), salt]);
    } else if (method === ZSTD) packed = await compressZstd(plaintext);
    yield* sealFrame(key!, counter++, last, method === ZSTD ? packed : plaintext);
  }
}

/** Cuts a stream into pieces of a frame each; at least one, and the last one is known to be it. */
async function* framesOf(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<{ plaintext: Buffer; last: boolean }> {
  let waiting: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    for (let at = 0; at < piece.length; ) {
      // Full, and there is more: so it is not the last.
      if (size === FRAME_PLAINTEXT) {
        yield { plaintext: Buffer.concat(waiting), last: false };
        waiting = [];
        size = 0;
      }
      const part = piece.subarray(at, at + FRAME_PLAINTEXT - size);
      waiting.push(part);
      size += part.length;
      at += part.length;
    }
  }
  yield { plaintext: Buffer.concat(waiting), last: true };
}

/**
 * The content, checked to its last byte before it ends.
 * @throws IntegrityError HF_OBJECT_MISSING, HF_OBJECT_TRUNCATED, HF_FILE_CORRUPT with the place of the damage
 */
export async function* openContent(
  store: ObjectStore,
  owner: Owner,
  entry: { readonly content: string; readonly stored: number; readonly size: number; readonly sha256: string },
): AsyncGenerator<Buffer> {
  const object = entry.content;
  const corrupt = (why: string, offset: number, length: number) =>
    new IntegrityError('HF_FILE_CORRUPT', `${object} is damaged: ${why}.`, {
      action: 'Bring this object back from another copy of the store, or restore an older version of the file.',
      details: { object, offset, length },
    });
  const hash = createHash('sha256');
  let size = 0;
  let bytes = Buffer.alloc(0);
  /** Offset in the object of the first of `bytes`. */
  let from = 0;
  let fetched = 0;
  const more = async () => {
    const length = Math.min(WINDOW, entry.stored - fetched);
    bytes = Buffer.concat([bytes, await store.get(object, { offset: fetched, length })]);
    fetched += length;
  };
  await more();
  const [method] = bytes.subarray(MAGIC.length);
  const known = method === STORED || method === ZSTD;
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC) || !known)
    throw corrupt('it does not begin as a content does', 0, Math.min(bytes.length, HEADER_BYTES));
  const key = contentKey(owner, bytes.subarray(MAGIC.length + 1, HEADER_BYTES), object, method);
  let at = HEADER_BYTES;
  for (let counter = 0, last = false; !last; counter++) {
    while (fetched < entry.stored && (frameLength(bytes, at) ?? Number.POSITIVE_INFINITY) > bytes.length - at) {
      // A frame that was tampered with may claim any length.
      if (bytes.length - at > 2 * WINDOW) throw corrupt(`frame ${counter} is too long`, from + at, bytes.length - at);
      bytes = bytes.subarray(at);
      from += at;
      at = 0;
      await more();
    }
    const length = Math.min(frameLength(bytes, at) ?? 0, bytes.length - at);
    const frame = openFrame(key, counter, bytes, at);
    // The salt and the method are proven by the first frame only, so a fault there may lie in either.
    if (!frame) throw corrupt(`frame ${counter} does not open`, counter === 0 ? 0 : from + at, length || bytes.length);
    at += length;
    last = frame.last;
    let plaintext = frame.body;
    if (method === ZSTD) {
      plaintext = await decompressZstd(frame.body, FRAME_PLAINTEXT).catch(() => {
        throw corrupt(`frame ${counter} holds what is not zstd`, from + at - length, length);
      });
    }
    hash.update(plaintext);
    size += plaintext.length;
    if (last && (from + at !== entry.stored || bytes.length !== at)) {
      throw corrupt('it goes on after its last frame', from + at, entry.stored - from - at);
    }
    if (last && (size !== entry.size || hash.digest('hex') !== entry.sha256)) {
      throw corrupt('its content is not that of this file', 0, entry.stored);
    }
    if (plaintext.length > 0) yield plaintext;
  }
}
