/** Slabs of a backup, read ahead of whoever consumes them: fetching, decrypting and decompressing overlap with loading. */
import type { SlabReader } from '../snapshot/readSlab.ts';
import { readSlab } from '../snapshot/readSlab.ts';
import type { Manifest, ManifestObject, ManifestSlab, OpenSection } from '../snapshot/types.ts';

/** Slabs that each consumer has under way. */
const AHEAD = 3;

export interface SlabRef {
  readonly manifest: Manifest;
  readonly object: ManifestObject;
  readonly slab: ManifestSlab;
}

export interface OpenedSlab {
  readonly ref: SlabRef;
  readonly sections: readonly OpenSection[];
}

/** Slabs of one kind that `wanted` tenants have in a backup, in the order of the manifest. */
export function slabsOf(
  manifest: Manifest,
  kind: ManifestObject['kind'],
  wanted: (tenant: string) => boolean,
): SlabRef[] {
  return manifest.objects
    .filter((object) => object.kind === kind)
    .flatMap((object) => object.slabs.filter((s) => wanted(s.tenant)).map((slab) => ({ manifest, object, slab })));
}

/**
 * Hands out slabs to any number of consumers, each slab once. Every consumer reads some ahead, so memory is bounded by that
 * many slabs for each.
 */
export class SlabQueue {
  readonly #reader: SlabReader;
  readonly #refs: readonly SlabRef[];
  #next = 0;

  constructor(reader: SlabReader, refs: readonly SlabRef[]) {
    this.#reader = reader;
    this.#refs = refs;
  }

  async *take(): AsyncGenerator<OpenedSlab> {
    const ahead: Promise<OpenedSlab>[] = [];
    const readOn = () => {
      for (let next = this.#read(); next; next = ahead.length < AHEAD ? this.#read() : undefined) ahead.push(next);
    };
    for (readOn(); ahead.length > 0; readOn()) yield await ahead.shift()!;
  }

  #read(): Promise<OpenedSlab> | undefined {
    const ref = this.#refs[this.#next];
    if (!ref) return undefined;
    this.#next += 1;
    const opened = readSlab(this.#reader, ref.manifest, ref.object, ref.slab).then(({ sections }) => ({
      ref,
      sections,
    }));
    opened.catch(() => {}); // thrown to the consumer whose turn it is
    return opened;
  }
}
