/** The groups that the rows of one table fall into: one for each pair of tenant and person that was seen. */
import { PrefixTable } from './prefixTable.ts';
import { BACKSLASH, CAPITAL_N, copyText, type Text } from './scan.ts';
import type { RowLayout } from './split.ts';

/** Groups of one tenant: all of them, and those whose rows a person owns. */
export interface TenantGroups {
  readonly tenant: string | null;
  readonly groups: number[];
  readonly persons: number[];
}

export class GroupTable {
  /** Bytes of all rows, without what is not stored. */
  bytes = 0;
  readonly #layout: RowLayout;
  readonly #prefixes = new PrefixTable();
  /** Length of the first field of each prefix. */
  #first = new Uint32Array(128);
  #owned = new Uint8Array(128);
  #rows = new Uint32Array(128);
  #open = new Float64Array(128);
  #sealed = new Float64Array(128);

  constructor(layout: RowLayout) {
    this.#layout = layout;
  }

  get size(): number {
    return this.#prefixes.size;
  }

  /** The group of a row with this prefix, whose first field has `first` bytes. */
  find(text: Text, at: number, length: number, first: number): number {
    const group = this.#prefixes.find(text, at, length);
    if (group === this.#first.length) this.#grow();
    if (this.#rows[group] === 0) {
      this.#first[group] = first;
      this.#owned[group] = this.#layout.personField < 0 || this.#isNull(group) ? 0 : 1;
    }
    return group;
  }

  /** Whether a person owns the rows of this group. */
  owned(group: number): boolean {
    return this.#owned[group] === 1;
  }

  count(group: number, open: number, sealed: number): void {
    this.#rows[group]!++;
    this.#open[group]! += open;
    this.#sealed[group]! += sealed;
    this.bytes += open + sealed;
  }

  rowsOf = (group: number): number => this.#rows[group]!;
  openBytes = (group: number): number => this.#open[group]!;
  sealedBytes = (group: number): number => this.#sealed[group]!;

  person(group: number): string {
    return this.#field(group, this.#layout.personField)!;
  }

  /** Groups by tenant, in order of first appearance. */
  tenants(): TenantGroups[] {
    const { tenantField, sealed } = this.#layout;
    const found = new Map<string | null, TenantGroups>();
    for (let group = 0; group < this.size; group++) {
      const tenant = tenantField < 0 ? null : this.#field(group, tenantField);
      let entry = found.get(tenant);
      if (!entry) {
        entry = { tenant, groups: [], persons: [] };
        found.set(tenant, entry);
      }
      entry.groups.push(group);
      if (sealed > 0 && this.owned(group)) entry.persons.push(group);
    }
    return [...found.values()];
  }

  /** The value of prefix field 0 or 1. */
  #field(group: number, field: number): string | null {
    const [start, stop] = this.#range(group, field);
    return copyText(this.#prefixes.kept.bytes, start, stop);
  }

  #isNull(group: number): boolean {
    const { bytes } = this.#prefixes.kept;
    const [start, stop] = this.#range(group, this.#layout.personField);
    return stop - start === 2 && bytes[start] === BACKSLASH && bytes[start + 1] === CAPITAL_N;
  }

  #range(group: number, field: number): [number, number] {
    const start = this.#prefixes.start(group);
    const cut = start + this.#first[group]!;
    return field === 0 ? [start, cut] : [cut + 1, this.#prefixes.stop(group)];
  }

  #grow(): void {
    const size = this.#first.length * 2;
    const u32 = (old: Uint32Array<ArrayBuffer>) => {
      const next = new Uint32Array(size);
      next.set(old);
      return next;
    };
    const f64 = (old: Float64Array<ArrayBuffer>) => {
      const next = new Float64Array(size);
      next.set(old);
      return next;
    };
    const owned = new Uint8Array(size);
    owned.set(this.#owned);
    this.#owned = owned;
    this.#first = u32(this.#first);
    this.#rows = u32(this.#rows);
    this.#open = f64(this.#open);
    this.#sealed = f64(this.#sealed);
  }
}
