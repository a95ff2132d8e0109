/** Copying the contents of users' files, each proven on its way as far as the keys at hand allow. */

import { IntegrityError } from '../errors.ts';
import { type Owner, openContent } from '../files/content.ts';
import type { FileEntry } from '../files/types.ts';
import type { ObjectStore } from '../ports.ts';
import { frameLength } from '../snapshot/frames.ts';
import { readFailed } from './copyObject.ts';

const WINDOW = 4 << 20;
/** Before the first frame: "HFF1", the method, a salt. */
const HEADER = 21;
const MAGIC = Buffer.from('HFF1');

/** The bytes of a content as they stand in the store, while it is being opened: what does not open ends the copy. */
export async function* provenContent(source: ObjectStore, owner: Owner, entry: FileEntry): AsyncGenerator<Uint8Array> {
  const read: Buffer[] = [];
  // It is read from front to back, once.
  const watched: ObjectStore = {
    ...refusing(source),
    async get(name, range) {
      const bytes = await source.get(name, range).catch((cause: unknown) => {
        throw readFailed(cause);
      });
      read.push(bytes);
      return bytes;
    },
  };
  for await (const _ of openContent(watched, owner, entry)) yield* read.splice(0);
  yield* read.splice(0);
}

/**
 * The same without its key: that it is a whole content of whole frames. A changed byte inside a frame is found by nobody but who
 * has the key.
 */
export async function* wholeContent(source: ObjectStore, name: string, size: number): AsyncGenerator<Uint8Array> {
  /** Where the next frame begins, and the first bytes of it that were read. */
  let next = HEADER;
  let head = Buffer.alloc(0);
  let ended = false;
  for (let offset = 0; offset < size; offset += WINDOW) {
    const bytes = await source
      .get(name, { offset, length: Math.min(WINDOW, size - offset) })
      .catch((cause: unknown) => {
        throw readFailed(cause);
      });
    if (offset === 0 && !bytes.subarray(0, 4).equals(MAGIC)) throw damaged(source, name);
    const from = offset - head.length;
    const known = Buffer.concat([head, bytes]);
    while (next - from + 4 <= known.length) {
      if (ended) throw damaged(source, name);
      ended = (known[next - from]! & 0x80) !== 0;
      next += frameLength(known, next - from)!;
    }
    head = next - from < known.length ? Buffer.from(known.subarray(next - from)) : Buffer.alloc(0);
    yield bytes;
  }
  if (!ended || next !== size) throw damaged(source, name);
}

function damaged(source: ObjectStore, name: string): IntegrityError {
  return new IntegrityError('HF_FILE_CORRUPT', `${name} in ${source.description} is not a whole content.`, {
    action: 'Bring it back from another copy of the store. It was not copied from here.',
    details: { object: name },
  });
}

const refuse = () => Promise.reject(new TypeError('only read'));
const refusing = ({ description, head, list }: ObjectStore): ObjectStore => {
  return { description, head, list, get: refuse, put: refuse, putStream: refuse, delete: refuse };
};
