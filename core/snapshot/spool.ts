/**
 * Rows that were read together but belong to different chunks wait here until the turn of their chunk comes. It is a file
 * without a name, sealed under a key that only this process has: a killed backup leaves nothing on the disk, and nobody
 * reads there what the backup itself would have sealed.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IntegrityError, StoreError } from '../errors.ts';
import { NONCE_BYTES, open, seal, secret } from './seal.ts';

/** Where a piece lies in the file; its number is its nonce. */
interface Extent {
  readonly number: number;
  readonly at: number;
  readonly length: number;
  readonly tag: Buffer;
}

export class Spool {
  readonly #file: number;
  readonly #key = secret(randomBytes(32));
  readonly #extents = new Map<string, Extent[]>();
  #count = 0;
  #end = 0;

  private constructor(file: number) {
    this.#file = file;
  }

  /** In the folder for temporary files (`TMPDIR`). @throws StoreError HF_SPOOL_FAILED */
  static open(): Spool {
    const path = join(tmpdir(), `holdfast-spool-${randomBytes(8).toString('hex')}`);
    try {
      const file = openSync(path, 'wx+', 0o600);
      unlinkSync(path);
      return new Spool(file);
    } catch (cause) {
      throw failed(cause);
    }
  }

  /** Adds a piece to what `name` holds. It is on the file when this returns, so memory does not grow with it. */
  add(name: string, piece: Uint8Array): void {
    const number = this.#count++;
    const [sealed, tag] = seal(this.#key, nonceOf(number), NOTHING, piece);
    try {
      for (let done = 0; done < sealed.length; )
        done += writeSync(this.#file, sealed, done, sealed.length - done, this.#end + done);
    } catch (cause) {
      throw failed(cause);
    }
    const extent = { number, at: this.#end, length: sealed.length, tag };
    this.#end += sealed.length;
    const known = this.#extents.get(name);
    if (known) known.push(extent);
    else this.#extents.set(name, [extent]);
  }

  /** The pieces of `name` in the order they came. @throws IntegrityError HF_SPOOL_DAMAGED when the disk gives back others */
  *pieces(name: string): Generator<Buffer> {
    let room = Buffer.alloc(0);
    for (const { number, at, length, tag } of this.#extents.get(name) ?? []) {
      if (room.length < length) room = Buffer.allocUnsafeSlow(length);
      const got = readSync(this.#file, room, 0, length, at);
      const sealed = room.subarray(0, length);
      const piece = got === length ? open(this.#key, nonceOf(number), NOTHING, sealed, tag) : undefined;
      if (!piece) throw damaged();
      yield piece;
    }
  }

  close(): void {
    closeSync(this.#file);
  }
}

const NOTHING = Buffer.alloc(0);

function nonceOf(number: number): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUIntBE(number, NONCE_BYTES - 6, 6);
  return nonce;
}

const failed = (cause: unknown) =>
  new StoreError('HF_SPOOL_FAILED', `Rows cannot be kept in ${tmpdir()} for a moment: ${(cause as Error).message}.`, {
    cause,
    action: 'Make room there for about 1 GB, or set TMPDIR to a folder that has it, then run the backup again.',
  });

const damaged = () =>
  new IntegrityError('HF_SPOOL_DAMAGED', `${tmpdir()} gives back other bytes than were written there.`, {
    action: 'Check that disk, or set TMPDIR to a folder on another one, then run the backup again.',
  });
