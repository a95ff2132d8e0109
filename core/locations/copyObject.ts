/** Copying one object so that what arrives is what was written once, or nothing arrives. */
import { createHash } from 'node:crypto';
import { HoldfastError, IntegrityError, isCode } from '../errors.ts';
import { type LockingStore, type ObjectStore, silentProgress } from '../ports.ts';

/** Read at once; the next of these is read while one is written. */
const WINDOW = 8 << 20;

export interface Expected {
  readonly size: number;
  /** hex */
  readonly sha256: string;
}

/** The reading side failed, not the writing one. It says what `cause` says. */
export class ReadFailed extends HoldfastError {
  override readonly name = 'ReadFailed';
  constructor(cause: HoldfastError) {
    super(cause.code, cause.message, { cause, action: cause.action, details: cause.details });
  }
}

/** What to throw where reading failed. An error that is not of the domain stays as it is. */
export const readFailed = (cause: unknown): unknown => (cause instanceof HoldfastError ? new ReadFailed(cause) : cause);

/**
 * Streams an object over and hashes what passes. Bytes other than expected end the write before the object exists.
 * @throws IntegrityError HF_OBJECT_CORRUPT; ReadFailed; whatever `put` throws
 */
export async function copyObject(
  source: ObjectStore,
  target: ObjectStore,
  name: string,
  expected: Expected,
  progress: { advance(bytes: number): void } = silentProgress,
): Promise<void> {
  async function* body(): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256');
    for await (const bytes of windows(source, name, expected.size)) {
      hash.update(bytes);
      yield bytes;
      progress.advance(bytes.length);
    }
    mustBe(source, name, expected, hash.digest('hex'));
  }
  try {
    await target.putStream(name, body());
  } catch (error) {
    if (!isCode(error, 'HF_OBJECT_EXISTS')) throw error;
    await checkObject(target, name, expected); // another run was first
  }
}

/** A whole small object. @throws ReadFailed */
export const readFrom = (source: ObjectStore, name: string): Promise<Buffer> =>
  source.get(name).catch((cause: unknown) => {
    throw readFailed(cause);
  });

/** Reads an object that is there. @throws IntegrityError HF_OBJECT_CORRUPT, HF_OBJECT_MISSING, HF_OBJECT_TRUNCATED */
export async function checkObject(
  store: ObjectStore,
  name: string,
  expected: Expected,
  progress: { advance(bytes: number): void } = silentProgress,
): Promise<void> {
  const found = await store.head(name);
  if (found && found.size !== expected.size) mustBe(store, name, expected, `${found.size} bytes`);
  const hash = createHash('sha256');
  try {
    for await (const bytes of windows(store, name, expected.size)) {
      hash.update(bytes);
      progress.advance(bytes.length);
    }
  } catch (error) {
    throw error instanceof ReadFailed ? error.cause : error;
  }
  mustBe(store, name, expected, hash.digest('hex'));
}

/** SHA-256 of an object, hex. @throws ReadFailed */
export async function digestOf(store: ObjectStore, name: string, size: number): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of windows(store, name, size)) hash.update(bytes);
  return hash.digest('hex');
}

/** The bytes of an object, the next window on its way while this one is used. @throws ReadFailed */
async function* windows(store: ObjectStore, name: string, size: number): AsyncGenerator<Buffer> {
  const read = (offset: number) => {
    const reading = store.get(name, { offset, length: Math.min(WINDOW, size - offset) });
    reading.catch(() => {}); // reported when it is waited for, if it ever is
    return reading;
  };
  let next = size > 0 ? read(0) : undefined;
  for (let offset = 0; next; offset += WINDOW) {
    const bytes: Buffer = await next.catch((cause: unknown) => {
      throw readFailed(cause);
    });
    next = offset + WINDOW < size ? read(offset + WINDOW) : undefined;
    yield bytes;
  }
}

function mustBe(store: ObjectStore, name: string, expected: Expected, got: string): void {
  if (got === expected.sha256) return;
  throw new IntegrityError(
    'HF_OBJECT_CORRUPT',
    `${name} in ${store.description} holds other bytes than were written.`,
    {
      action: 'Bring it back from another copy of the store. It was not copied from here.',
      details: { object: name, expected, got },
    },
  );
}

export const isLocking = (store: ObjectStore): store is LockingStore => 'lockOf' in store;
