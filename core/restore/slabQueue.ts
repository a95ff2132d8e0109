/** Slabs of a backup, read ahead of whoever consumes them: fetching, decrypting and decompressing overlap with loading. */
import type { SlabReader } from '../snapshot/readSlab.ts';
import { readSlab } from '../snapshot/readSlab.ts';
import type { Manifest, ManifestObject, ManifestSlab, OpenSection } from '../snapshot/types.ts';

/** Slabs that each consumer has under way. */
const AHEAD = 3;
/** Bytes of neighbouring slabs that are fetched with one request. */
const FETCH = 1 << 20;

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
  /** What was fetched last: slabs are handed out in order, so the next one is often among it. */
  #fetched:
    | { readonly object: ManifestObject; readonly from: number; readonly to: number; readonly bytes: Promise<Buffer> }
    | undefined;

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
    const bytes = this.#fetch(this.#next);
    this.#next += 1;
    const opened = bytes
      .then((fetched) => readSlab(this.#reader, ref.manifest, ref.object, ref.slab, fetched))
      .then(({ sections }) => ({ ref, sections }));
    opened.catch(() => {}); // thrown to the consumer whose turn it is
    return opened;
  }

  /** The bytes of a slab, fetched with those of the wanted slabs that stand right behind it. */
  async #fetch(n: number): Promise<Buffer> {
    const { object, slab } = this.#refs[n]!;
    const end = slab.offset + slab.length;
    let known = this.#fetched;
    if (!known || known.object !== object || slab.offset < known.from || end > known.to) {
      let to = end;
      for (let i = n + 1; this.#refs[i]?.object === object && this.#refs[i]!.slab.offset === to; i++) {
        const length = this.#refs[i]!.slab.length;
        if (to + length - slab.offset > FETCH) break;
        to += length;
      }
      const range = { offset: slab.offset, length: to - slab.offset };
      known = { object, from: slab.offset, to, bytes: this.#reader.store.get(object.name, range) };
      this.#fetched = known;
    }
    return (await known.bytes).subarray(slab.offset - known.from, end - known.from);
  }
}
