/** What passes between a backup and its sealing thread. Rows are not copied: the memory that they lie in changes hands. */
import { Buffer } from 'node:buffer';
import type { Section, SlabInput } from './types.ts';

export type Question =
  | { readonly what: 'lend'; readonly memory: ArrayBuffer; readonly slabs: readonly PackedSlab[] }
  | { readonly what: 'seal'; readonly slab: number }
  | { readonly what: 'back' };

export type Answer =
  | { readonly memory: ArrayBuffer }
  | { readonly slab: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly slab: number; readonly error: string };

type Place = readonly [offset: number, length: number];

export interface PackedSlab {
  readonly about: Omit<SlabInput, 'sections' | 'persons'>;
  /** `open`: its place in the memory, or the bytes themselves where they were made up anew. */
  readonly sections: readonly (Omit<Section, 'open'> & { readonly open: Place | Uint8Array })[];
  readonly refs: readonly string[];
  /** 32 bytes for each person. */
  readonly keys: Uint8Array;
  /** Offset and length of each person's part of each section. */
  readonly parts: Float64Array;
  readonly key: Uint8Array;
}

export interface SlabToSeal {
  readonly input: SlabInput;
  /** The tenant's backup key. */
  readonly key: Buffer;
}

const KEY_BYTES = 32;

/** @param memory what the rows lie in */
export function pack({ input, key }: SlabToSeal, memory: ArrayBuffer): PackedSlab {
  const { sections, persons, ...about } = input;
  const keys = new Uint8Array(persons.length * KEY_BYTES);
  const parts = new Float64Array(persons.length * sections.length * 2);
  let at = 0;
  for (const [index, person] of persons.entries()) {
    keys.set(person.key, index * KEY_BYTES);
    for (const part of person.parts) {
      parts[at++] = part.byteOffset;
      parts[at++] = part.length;
    }
  }
  return {
    about,
    sections: sections.map((section) => {
      const { open } = section;
      return { ...section, open: open.buffer === memory ? ([open.byteOffset, open.length] as const) : open };
    }),
    refs: persons.map(({ ref }) => ref),
    keys,
    parts,
    key,
  };
}

export function unpack(slab: PackedSlab, memory: ArrayBuffer): SlabToSeal {
  const { about, refs, keys, parts, key } = slab;
  const view = (offset: number, length: number) => new Uint8Array(memory, offset, length);
  const persons = refs.map((ref, index) => ({
    ref,
    key: Buffer.from(keys.buffer, keys.byteOffset + index * KEY_BYTES, KEY_BYTES),
    parts: slab.sections.map((_, s) => {
      const at = (index * slab.sections.length + s) * 2;
      return view(parts[at]!, parts[at + 1]!);
    }),
  }));
  const sections = slab.sections.map((section) => {
    const { open } = section;
    return { ...section, open: open instanceof Uint8Array ? open : view(open[0], open[1]) };
  });
  return { input: { ...about, sections, persons }, key: Buffer.from(key) };
}
