/**
 * A slab: rows of one tenant from one snapshot, sealed. Layout: `HFS1`, a salt of 16 bytes, frames that hold the directory
 * and the open parts, then the capsules. docs/backup-format.md has it byte by byte.
 */
import { randomBytes } from 'node:crypto';
import { IntegrityError } from '../errors.ts';
import type { PersonKey } from '../ports.ts';
import { type CapsuleSize, openCapsule, sealCapsules } from './capsule.ts';
import { FrameError, openFrames, sealFrames } from './frames.ts';
import { joinRows } from './rows.ts';
import { derive, secret } from './seal.ts';
import type { OpenSection, SlabInput } from './types.ts';

const MAGIC = Buffer.from('HFS1');
const SALT_BYTES = 16;
const HEADER_BYTES = MAGIC.length + SALT_BYTES;

/** What a slab is bound to. */
export interface SlabPlace {
  readonly backup: string;
  readonly tenant: string;
  readonly object: string;
  readonly ordinal: number;
}

/** The first thing inside the frames, as JSON. */
interface Directory {
  readonly snapshot: string;
  readonly sections: readonly {
    readonly table: string;
    readonly columns: readonly string[];
    readonly sealed: readonly string[];
    readonly rows: number;
    /** Person index (or -1) and row count, alternating. */
    readonly runs: readonly number[];
    readonly bytes: number;
  }[];
  /** Reference, plaintext bytes, stored bytes; in the order of the capsules. */
  readonly persons: readonly (readonly [string, number, number])[];
}

/** A fresh salt for every slab that is ever sealed: a chunk that is written again after a kill never reuses a nonce. */
function slabKey(backupKey: Uint8Array, salt: Uint8Array, place: SlabPlace) {
  const { backup, tenant, object, ordinal } = place;
  return secret(derive(backupKey, salt, JSON.stringify(['holdfast-slab-1', backup, tenant, object, ordinal])));
}

function capsuleContext(salt: Buffer, place: SlabPlace): string {
  const { backup, tenant, object, ordinal } = place;
  return `${JSON.stringify(['holdfast-capsule-1', backup, tenant, object, ordinal, salt.toString('hex')])} `;
}

export async function sealSlab(input: SlabInput, backupKey: Buffer): Promise<Buffer> {
  const salt = randomBytes(SALT_BYTES);
  const capsules = await sealCapsules(capsuleContext(salt, input), input.persons);
  const directory: Directory = {
    snapshot: input.snapshot,
    sections: input.sections.map(({ table, columns, sealed, rows, runs, open }) => {
      return { table, columns, sealed, rows, runs: runs.flat(), bytes: open.length };
    }),
    persons: input.persons.map(({ ref }, i) => [ref, capsules.sizes[i]!.raw, capsules.sizes[i]!.stored]),
  };
  const json = Buffer.from(JSON.stringify(directory));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  const plaintext = Buffer.concat([length, json, ...input.sections.map((section) => section.open)]);
  const frames = await sealFrames(slabKey(backupKey, salt, input), plaintext);
  return Buffer.concat([MAGIC, salt, ...frames, ...capsules.pieces]);
}

export interface SlabKeys {
  readonly backupKey: Buffer;
  /** Keys by reference, or how to look them up once the references in the slab are known. */
  readonly persons: ReadonlyMap<string, PersonKey> | ((refs: readonly string[]) => Promise<Map<string, PersonKey>>);
  readonly expect: SlabPlace;
}

/** A slab as it was sealed: the halves of its rows apart. */
export interface SplitSlab {
  readonly snapshot: string;
  /** In the order that runs index; without a key, the person's parts are gone. */
  readonly persons: readonly { readonly ref: string; readonly key?: Buffer }[];
  readonly sections: readonly (Directory['sections'][number] & {
    readonly open: Buffer;
    /** One per person; undefined where the key is gone. */
    readonly parts: readonly (Buffer | undefined)[];
  })[];
}

/**
 * @throws IntegrityError HF_SLAB_CORRUPT with `details.offset` and `details.length` (inside the slab) of the first frame or
 * capsule that does not open
 */
export async function openSlab(bytes: Buffer, keys: SlabKeys): Promise<{ snapshot: string; sections: OpenSection[] }> {
  const { snapshot, persons, sections } = await openSplit(bytes, keys);
  return {
    snapshot,
    sections: sections.map((section): OpenSection => {
      const { table, columns, sealed, rows, runs, open, parts } = section;
      const split = { table, columns: columns.length, sealed: sealed.length, rows, runs, open };
      const data = joinRows(split, (person) => parts[person]);
      return { table, columns: [...columns, ...sealed], rows, data, erased: erasedRuns(section, persons) };
    }),
  };
}

/** The same without putting the rows together. @throws as `openSlab` */
export async function openSplit(bytes: Buffer, { backupKey, persons, expect }: SlabKeys): Promise<SplitSlab> {
  const { directory, body, capsulesAt } = await openDirectory(bytes, backupKey, expect);
  const keys = typeof persons === 'function' ? await persons(directory.persons.map(([ref]) => ref)) : persons;
  const salt = bytes.subarray(MAGIC.length, HEADER_BYTES);
  const context = capsuleContext(salt, expect);
  let at = capsulesAt;
  const opening = directory.persons.map(async ([ref, raw, stored]) => {
    const offset = at;
    at += stored;
    const person = keys.get(ref);
    if (!person) return undefined;
    try {
      return await openCapsule(context, person, bytes.subarray(offset, at), raw, directory.sections.length);
    } catch (cause) {
      throw corrupt(expect, (cause as Error).message, { offset, length: stored }, cause);
    }
  });
  const parts = await Promise.all(opening);
  let from = 0;
  return {
    snapshot: directory.snapshot,
    persons: directory.persons.map(([ref]) => ({ ref, ...(keys.has(ref) ? { key: keys.get(ref)!.key } : {}) })),
    sections: directory.sections.map((section, s) => {
      const open = body.subarray(from, from + section.bytes);
      from += section.bytes;
      return { ...section, open, parts: parts.map((part) => part?.[s]) };
    }),
  };
}

/** Everything but the capsules' content, checked as far as the backup key reaches. */
async function openDirectory(
  bytes: Buffer,
  backupKey: Buffer,
  expect: SlabPlace,
): Promise<{ directory: Directory; body: Buffer; capsulesAt: number; capsules: (CapsuleSize & { ref: string })[] }> {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC))
    throw corrupt(expect, 'It does not begin with HFS1.', { offset: 0, length: Math.min(bytes.length, MAGIC.length) });
  const salt = bytes.subarray(MAGIC.length, HEADER_BYTES);
  let opened: { plaintext: Buffer; end: number };
  try {
    opened = await openFrames(slabKey(backupKey, salt, expect), bytes, HEADER_BYTES);
  } catch (cause) {
    if (!(cause instanceof FrameError)) throw cause;
    // The salt is proven by the first frame only, so a fault there may lie in either.
    const first = cause.range.offset === HEADER_BYTES;
    const range = first ? { offset: 0, length: HEADER_BYTES + cause.range.length } : cause.range;
    throw corrupt(expect, cause.message, range, cause);
  }
  const size = opened.plaintext.readUInt32BE(0);
  const directory = JSON.parse(opened.plaintext.toString('utf8', 4, 4 + size)) as Directory;
  const capsules = directory.persons.map(([ref, raw, stored]) => ({ ref, raw, stored }));
  const end = capsules.reduce((sum, { stored }) => sum + stored, opened.end);
  if (end !== bytes.length) {
    const offset = Math.min(end, bytes.length);
    const got = `It has ${bytes.length} bytes instead of ${end}.`;
    throw corrupt(expect, got, { offset, length: Math.abs(bytes.length - end) });
  }
  return { directory, body: opened.plaintext.subarray(4 + size), capsulesAt: opened.end, capsules };
}

/**
 * Ranges inside a slab that is known to be damaged: the first frame that does not open, else every capsule that does not.
 * Empty when the damage lies where no key at hand reaches, such as the capsule of an erased person.
 */
export async function locateDamage(
  bytes: Buffer,
  keys: SlabKeys & { persons: (refs: readonly string[]) => Promise<Map<string, PersonKey>> },
): Promise<{ offset: number; length: number }[]> {
  let opened: Awaited<ReturnType<typeof openDirectory>>;
  try {
    opened = await openDirectory(bytes, keys.backupKey, keys.expect);
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    const { offset, length } = error.details as { offset: number; length: number };
    return [{ offset, length }];
  }
  const { directory, capsules, capsulesAt } = opened;
  const persons = await keys.persons(capsules.map(({ ref }) => ref));
  const context = capsuleContext(bytes.subarray(MAGIC.length, HEADER_BYTES), keys.expect);
  const damaged: { offset: number; length: number }[] = [];
  let at = capsulesAt;
  for (const { ref, raw, stored } of capsules) {
    const range = { offset: at, length: stored };
    at += stored;
    const person = persons.get(ref);
    if (!person) continue;
    try {
      await openCapsule(context, person, bytes.subarray(range.offset, at), raw, directory.sections.length);
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      damaged.push(range);
    }
  }
  return damaged;
}

function erasedRuns(section: SplitSlab['sections'][number], persons: SplitSlab['persons']): [number, number, string][] {
  const erased: [number, number, string][] = [];
  let row = 0;
  for (let i = 0; i < section.runs.length; i += 2) {
    const person = section.runs[i]!;
    const count = section.runs[i + 1]!;
    if (section.sealed.length > 0 && person >= 0 && !section.parts[person]) {
      erased.push([row, count, persons[person]!.ref]);
    }
    row += count;
  }
  return erased;
}

function corrupt(place: SlabPlace, why: string, range: { offset: number; length: number }, cause?: unknown) {
  return new IntegrityError('HF_SLAB_CORRUPT', `Slab ${place.ordinal} of ${place.object} is damaged. ${why}`, {
    cause,
    action: 'Run "holdfast validate --deep" on this backup, and restore from another copy or another backup.',
    details: { ...place, ...range },
  });
}
