/**
 * The person keys of one tenant in one file: a header, then records of a fixed size, appended and never moved. A key
 * therefore exists in one place on the disk, and erasing overwrites it there. All writes are made under the tenant's lock.
 *
 *     header: `HFPK`, u32 version, u64 generation (raised by every erasure, so that other processes drop what they
 *     cached), u64 end (of the records that are flushed; what stands after it was never used)
 *     record: reference 16, state 1 (`L` live, `F` fenced), zero 3, CRC-32 of reference and wrapped key 4, wrapped key 60
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { KeyError } from '../../core/errors.ts';
import { syncFolder } from './durableFile.ts';

const HEADER_BYTES = 24;
const RECORD_BYTES = 84;
const STATE = 16;
const CRC = 20;
const WRAPPED = 24;
const LIVE = 0x4c;
const FENCED = 0x46;
const MAGIC = Buffer.from('HFPK\0\0\0\x01', 'latin1');

export interface PersonRecord {
  readonly offset: number;
  /** undefined: fenced, and no key can be made again. */
  readonly wrapped: Buffer | undefined;
}

/** What the file held when it was read. */
export interface PersonFile {
  readonly generation: bigint;
  /** Where the next record goes: the end of the last whole one. */
  readonly end: number;
  readonly records: ReadonlyMap<string, PersonRecord>;
}

export const emptyPersonFile: PersonFile = { generation: 0n, end: HEADER_BYTES, records: new Map() };

/**
 * Generation and end, to see whether what was read before still holds; undefined when there is no file yet. Asked for each
 * slab, so it is three system calls on the spot (15 µs) and not a turn of the thread pool, which is busy compressing.
 */
export function peek(path: string): Pick<PersonFile, 'generation' | 'end'> | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    return readSync(file, header, 0, HEADER_BYTES, 0) < HEADER_BYTES ? emptyPersonFile : readHeader(header, path);
  } finally {
    closeSync(file);
  }
}

/**
 * Reads without the lock. What the header counts was flushed before it was counted, so the header is read first and exactly that
 * much after it. An erasure may overwrite a record while it is read: then the generation has moved, and it is read again.
 * @throws KeyError HF_PERSON_KEYS_CORRUPT
 */
export async function readPersonFile(path: string): Promise<PersonFile> {
  for (;;) {
    const found = await withFile(path, 'r', (file) => readAll(file, path));
    if (!found) return emptyPersonFile;
    const { generation, end, damaged, records } = found;
    if (damaged === undefined) return { generation, end, records };
    if (peek(path)?.generation === generation) throw corrupt(path, damaged);
  }
}

async function readAll(file: FileHandle, path: string): Promise<PersonFile & { readonly damaged?: number }> {
  const header = await readAt(file, 0, HEADER_BYTES);
  if (header.length < HEADER_BYTES) return emptyPersonFile;
  const { generation, end } = readHeader(header, path);
  const bytes = await readAt(file, HEADER_BYTES, end - HEADER_BYTES);
  const records = new Map<string, PersonRecord>();
  for (let offset = HEADER_BYTES; offset < end; offset += RECORD_BYTES) {
    const at = offset - HEADER_BYTES;
    const record = bytes.subarray(at, at + RECORD_BYTES);
    if (record.length < RECORD_BYTES) return { generation, end, records, damaged: HEADER_BYTES + bytes.length };
    const live = record[STATE] === LIVE;
    // A fence holds even where a crash left its key half overwritten.
    if (record[STATE] !== FENCED && !(live && record.readUInt32BE(CRC) === checksum(record)))
      return { generation, end, records, damaged: offset };
    records.set(record.toString('hex', 0, STATE), {
      offset,
      wrapped: live ? Buffer.from(record.subarray(WRAPPED)) : undefined,
    });
  }
  return { generation, end, records };
}

/** Fewer bytes than asked for only where the file ends. */
async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { size } = await file.stat();
  const bytes = Buffer.alloc(Math.max(0, Math.min(length, size - position)));
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

/** Appends records and flushes them: when this resolves, the keys may be used. `wrapped` undefined appends a fence. */
export async function appendRecords(
  path: string,
  at: PersonFile,
  added: readonly { readonly ref: string; readonly wrapped: Buffer | undefined }[],
): Promise<void> {
  const bytes = Buffer.alloc(RECORD_BYTES * added.length);
  for (const [i, { ref, wrapped }] of added.entries()) {
    const record = bytes.subarray(i * RECORD_BYTES, (i + 1) * RECORD_BYTES);
    record.write(ref, 'hex');
    record[STATE] = wrapped ? LIVE : FENCED;
    wrapped?.copy(record, WRAPPED);
    record.writeUInt32BE(checksum(record), CRC);
  }
  await withFile(path, 'r+', async (file) => {
    if ((await file.stat()).size < HEADER_BYTES) {
      // A reader without the lock must never see records where there is no header yet.
      await writeHeader(file, at.generation, HEADER_BYTES);
      await file.sync();
    }
    await file.write(bytes, 0, bytes.length, at.end);
    await file.sync();
    await writeHeader(file, at.generation, at.end + bytes.length);
    await file.sync();
  });
  if (at.end === HEADER_BYTES) await syncFolder(dirname(path));
}

/** Fence first, then key: after a crash in between, the person is erased already, and `fence` again finishes it. */
export async function fence(path: string, at: PersonFile, record: PersonRecord): Promise<void> {
  await withFile(path, 'r+', async (file) => {
    await file.write(Buffer.of(FENCED), 0, 1, record.offset + STATE);
    await writeHeader(file, at.generation + 1n, at.end);
    await file.sync();
    await file.write(Buffer.alloc(RECORD_BYTES - CRC), 0, RECORD_BYTES - CRC, record.offset + CRC);
    await file.sync();
  });
}

async function writeHeader(file: FileHandle, generation: bigint, end: number): Promise<void> {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeBigUInt64BE(generation, 8);
  header.writeBigUInt64BE(BigInt(end), 16);
  await file.write(header, 0, HEADER_BYTES, 0);
}

function readHeader(bytes: Buffer, path: string): Pick<PersonFile, 'generation' | 'end'> {
  const end = Number(bytes.readBigUInt64BE(16));
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC) || (end - HEADER_BYTES) % RECORD_BYTES !== 0)
    throw corrupt(path, 0);
  return { generation: bytes.readBigUInt64BE(8), end };
}

function checksum(record: Buffer): number {
  return crc32(record.subarray(WRAPPED), crc32(record.subarray(0, STATE)));
}

async function withFile<T>(
  path: string,
  flags: string,
  work: (file: FileHandle) => Promise<T>,
): Promise<T | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, flags);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    if (flags === 'r') return undefined;
    file = await open(path, 'wx+', 0o600);
  }
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

function corrupt(path: string, offset: number): KeyError {
  return new KeyError('HF_PERSON_KEYS_CORRUPT', `The person keys in ${path} are damaged at byte ${offset}.`, {
    action: 'Stop all backups, and bring this file back from its replica; the keys in it cannot be made again.',
    details: { file: path, offset },
  });
}
