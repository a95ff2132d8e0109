/**
 * Splits rows of a COPY into open and sealed bytes, grouped by tenant and person. It runs once for every row of a backup,
 * so it touches each byte at most once, compares words, and makes an object per group, never per row.
 */
import { Buffer } from 'node:buffer';
import type { RowArena } from './arena.ts';

/** Where to find things in a row: `[helpers…] [stored open fields…] [stored sealed fields…]`. */
export interface RowLayout {
  /** Field that holds the tenant: 0 or 1; -1: every row belongs to the one tenant that the caller knows. */
  readonly tenantField: number;
  /** Field that holds the person: 0 or 1; -1: rows are not split. */
  readonly personField: number;
  /** Leading fields that are not stored: they were selected only to find tenant or person. */
  readonly helpers: number;
  /** Stored open fields; at least 1. */
  readonly open: number;
  /** Stored sealed fields; 0 when rows are not split. */
  readonly sealed: number;
  /** Keep the rows of a tenant in the order they came, instead of grouping them by person. */
  readonly ordered?: boolean;
}

/** Rows of one table and tenant. Ranges are `[offset, length]` in the arena's gathered area. */
export interface TenantRows {
  /** null: the rows belong to no tenant. */
  readonly tenant: string | null;
  readonly rows: number;
  readonly open: readonly [number, number];
  /** `[index in persons or -1, rows]` in row order. */
  readonly runs: readonly (readonly [number, number])[];
  readonly persons: readonly string[];
  /** One per person. */
  readonly parts: readonly (readonly [number, number])[];
}

const TAB = 9;
const NEWLINE = 10;
const BACKSLASH = 92;
const CAPITAL_N = 78;
/** Rows after which the cheaper end to look for the sealed fields from is chosen. */
const TRIAL = 64;

export class RowSplitter {
  readonly #layout: RowLayout;
  readonly #arena: RowArena;
  readonly #prefix: number;
  #rows = 0;
  #start = new Uint32Array(1024);
  #split = new Uint32Array(1024);
  #stop = new Uint32Array(1024);
  #group = new Uint32Array(1024);
  readonly #groups: GroupTable;
  // The prefix of the row before: rows of one person or tenant tend to come together.
  #lastStart = 0;
  #lastLength = -1;
  #lastFirst = 0;
  #lastGroup = -1;
  #openSeen = 0;
  #sealedSeen = 0;
  #backwards = false;

  constructor(layout: RowLayout, arena: RowArena) {
    this.#layout = layout;
    this.#arena = arena;
    this.#prefix = Math.max(layout.tenantField, layout.personField) + 1;
    this.#groups = new GroupTable(layout.personField);
  }

  /** Notes one row: `[start, stop)` in the wire area, newline included. */
  row(start: number, stop: number): void {
    const { bytes, view } = this.#arena;
    const n = this.#rows;
    if (n === this.#start.length) this.#growRows();

    const length = this.#lastLength;
    let first = this.#lastFirst;
    let group: number;
    if (length >= 0 && start + length < stop && same(bytes, view, this.#lastStart, start, length)) {
      group = this.#lastGroup;
    } else {
      let at = start;
      if (this.#prefix > 0) {
        at = fieldEnd(bytes, start);
        first = at - start;
        if (this.#prefix > 1) at = fieldEnd(bytes, at + 1);
      }
      group = this.#groups.find(this.#arena, start - this.#arena.base, at - start, first);
      this.#lastStart = start;
      this.#lastLength = this.#prefix === 0 ? 0 : at - start + 1; // with the delimiter, so that 12 is not taken for 123
      this.#lastFirst = first;
      this.#lastGroup = group;
    }
    const after = start + this.#lastLength;
    const { helpers, open, sealed } = this.#layout;
    const kept = helpers === 0 ? start : helpers === 1 ? start + first + 1 : after;
    let split = stop;
    if (sealed > 0 && this.#groups.owned(group)) {
      split = this.#backwards
        ? skipBack(bytes, stop - 1, sealed)
        : skip(bytes, view, after, open - (this.#prefix - helpers));
      if (n < TRIAL) {
        this.#openSeen += split - after;
        this.#sealedSeen += stop - split;
        this.#backwards = n === TRIAL - 1 && this.#sealedSeen < this.#openSeen;
      }
    }
    const base = this.#arena.base;
    this.#start[n] = kept - base;
    this.#split[n] = split - base;
    this.#stop[n] = stop - base;
    this.#group[n] = group;
    this.#groups.count(group, split - kept, stop - split);
    this.#rows = n + 1;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Gathers what was noted into the arena and frees the wire area for the next table. */
  finish(): TenantRows[] {
    const arena = this.#arena;
    const tenants = this.#groups.tenants(arena, this.#layout);
    arena.reserve(this.#groups.bytes);
    const ordered = this.#layout.ordered === true;

    // Where the next row of each group goes; a tenant's ordered rows share one place.
    const openAt = new Float64Array(this.#groups.size);
    const sealedAt = new Float64Array(this.#groups.size);
    const owner = new Uint32Array(this.#groups.size);
    let at = arena.kept;
    const results: TenantRows[] = [];
    const runsOf: [number, number][][] = [];
    for (const [index, { tenant, groups, persons }] of tenants.entries()) {
      const open = at;
      const runs: [number, number][] = [];
      let rows = 0;
      let person = 0;
      for (const group of groups) {
        openAt[group] = at;
        owner[group] = index;
        at += this.#groups.openBytes(group);
        rows += this.#groups.rowsOf(group);
        if (!ordered) runs.push([persons[person] === group ? person++ : -1, this.#groups.rowsOf(group)]);
      }
      const openLength = at - open;
      const parts: [number, number][] = persons.map((group) => {
        sealedAt[group] = at;
        at += this.#groups.sealedBytes(group);
        return [at - this.#groups.sealedBytes(group), this.#groups.sealedBytes(group)];
      });
      runsOf.push(runs);
      results.push({
        tenant,
        rows,
        open: [open, openLength],
        runs,
        persons: persons.map((group) => this.#groups.person(arena, group, this.#layout)),
        parts,
      });
    }
    if (ordered) {
      this.#moveOrdered(owner, results, sealedAt, tenants, runsOf);
    } else {
      this.#move(openAt, sealedAt);
    }
    arena.kept = at;
    arena.end = arena.base;
    return results;
  }

  #move(openAt: Float64Array, sealedAt: Float64Array): void {
    const { bytes, base } = this.#arena;
    const [starts, splits, stops, groups] = [this.#start, this.#split, this.#stop, this.#group];
    for (let i = 0; i < this.#rows; i++) {
      const group = groups[i]!;
      const start = base + starts[i]!;
      const split = base + splits[i]!;
      const stop = base + stops[i]!;
      const to = openAt[group]!;
      bytes.copyWithin(to, start, split);
      const next = to + split - start;
      openAt[group] = next;
      if (split !== stop) {
        bytes[next - 1] = NEWLINE; // the tab before the first sealed field ends the open row
        const sealed = sealedAt[group]!;
        bytes.copyWithin(sealed, split, stop);
        sealedAt[group] = sealed + stop - split;
      }
    }
  }

  #moveOrdered(
    owner: Uint32Array,
    results: readonly TenantRows[],
    sealedAt: Float64Array,
    tenants: readonly { persons: readonly number[] }[],
    runsOf: readonly [number, number][][],
  ): void {
    const { bytes, base } = this.#arena;
    const at = results.map((result) => result.open[0]);
    const person = new Int32Array(this.#groups.size).fill(-1);
    for (const { persons } of tenants) for (const [index, group] of persons.entries()) person[group] = index;
    for (let i = 0; i < this.#rows; i++) {
      const group = this.#group[i]!;
      const tenant = owner[group]!;
      const start = base + this.#start[i]!;
      const split = base + this.#split[i]!;
      const stop = base + this.#stop[i]!;
      const to = at[tenant]!;
      bytes.copyWithin(to, start, split);
      at[tenant] = to + split - start;
      if (split !== stop) {
        bytes[at[tenant]! - 1] = NEWLINE;
        bytes.copyWithin(sealedAt[group]!, split, stop);
        sealedAt[group] = sealedAt[group]! + stop - split;
      }
      const runs = runsOf[tenant]!;
      const last = runs.at(-1);
      if (last && last[0] === person[group]) last[1]++;
      else runs.push([person[group]!, 1]);
    }
  }

  #growRows(): void {
    const larger = (old: Uint32Array<ArrayBuffer>) => {
      const next = new Uint32Array(old.length * 2);
      next.set(old);
      return next;
    };
    this.#start = larger(this.#start);
    this.#split = larger(this.#split);
    this.#stop = larger(this.#stop);
    this.#group = larger(this.#group);
  }
}

function same(bytes: Uint8Array, view: DataView, a: number, b: number, length: number): boolean {
  let i = 0;
  for (; i + 4 <= length; i += 4) if (view.getInt32(a + i) !== view.getInt32(b + i)) return false;
  for (; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}

function fieldEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  while (bytes[at] !== TAB && bytes[at] !== NEWLINE) at++;
  return at;
}

/** The position after `fields` more tabs. In COPY text a tab inside a value is written `\t`, so every tab is a delimiter. */
function skip(bytes: Uint8Array, view: DataView, from: number, fields: number): number {
  let at = from;
  let left = fields;
  while (left > 0) {
    const word = view.getInt32(at, true) ^ 0x09090909;
    if (((word - 0x01010101) & ~word & 0x80808080) === 0) {
      at += 4; // no tab among these four bytes
    } else {
      for (let i = 0; i < 4 && left > 0; i++) if (bytes[at++] === TAB) left--;
    }
  }
  return at;
}

/** The position of the field that has `fields - 1` fields behind it; `from` is the newline. */
function skipBack(bytes: Uint8Array, from: number, fields: number): number {
  let at = from;
  let left = fields;
  while (left > 0) if (bytes[--at] === TAB) left--;
  return at + 1;
}

/** The distinct prefixes seen, in an open-addressing hash table over their bytes. */
class GroupTable {
  size = 0;
  bytes = 0;
  #slots = new Int32Array(256).fill(-1);
  #hash = new Int32Array(128);
  /** Offset of the prefix in the wire area, its length, and the length of its first field. */
  #at = new Uint32Array(128);
  #length = new Uint32Array(128);
  #first = new Uint32Array(128);
  #owned = new Uint8Array(128);
  #rows = new Uint32Array(128);
  #open = new Float64Array(128);
  #sealed = new Float64Array(128);
  readonly #personField: number;

  constructor(personField: number) {
    this.#personField = personField;
  }

  find(arena: RowArena, at: number, length: number, first: number): number {
    const { bytes, view, base } = arena;
    const hash = hashOf(bytes, view, base + at, length);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (;;) {
      const group = this.#slots[slot]!;
      if (group < 0) break;
      if (
        this.#hash[group] === hash &&
        this.#length[group] === length &&
        same(bytes, view, base + this.#at[group]!, base + at, length)
      )
        return group;
      slot = (slot + 1) & mask;
    }
    if (this.size === this.#at.length) this.#grow();
    const group = this.size++;
    this.#hash[group] = hash;
    this.#at[group] = at;
    this.#length[group] = length;
    this.#first[group] = first;
    this.#owned[group] = this.#personField < 0 || this.#isNull(bytes, base + at, length, first) ? 0 : 1;
    this.#insert(group);
    return group;
  }

  /** Whether a person owns the rows of this group. */
  owned(group: number): boolean {
    return this.#owned[group] === 1;
  }

  #isNull(bytes: Uint8Array, start: number, length: number, first: number): boolean {
    const [from, to] = this.#personField === 0 ? [start, start + first] : [start + first + 1, start + length];
    return to - from === 2 && bytes[from] === BACKSLASH && bytes[from + 1] === CAPITAL_N;
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

  person(arena: RowArena, group: number, layout: RowLayout): string {
    return this.#field(arena, group, layout.personField)!;
  }

  /** Groups by tenant, in order of first appearance; `persons` are the groups that own rows, `groups` all. */
  tenants(arena: RowArena, layout: RowLayout): { tenant: string | null; groups: number[]; persons: number[] }[] {
    const found = new Map<string | null, { tenant: string | null; groups: number[]; persons: number[] }>();
    for (let group = 0; group < this.size; group++) {
      const tenant = layout.tenantField < 0 ? null : this.#field(arena, group, layout.tenantField);
      let entry = found.get(tenant);
      if (!entry) {
        entry = { tenant, groups: [], persons: [] };
        found.set(tenant, entry);
      }
      entry.groups.push(group);
      if (layout.sealed > 0 && this.#owned[group] === 1) entry.persons.push(group);
    }
    return [...found.values()];
  }

  /** The value of prefix field 0 or 1. */
  #field(arena: RowArena, group: number, field: number): string | null {
    const start = arena.base + this.#at[group]!;
    const cut = start + this.#first[group]!;
    const stop = start + this.#length[group]!;
    return field === 0 ? copyText(arena.bytes, start, cut) : copyText(arena.bytes, cut + 1, stop);
  }

  #insert(group: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#hash[group]! & mask;
    while (this.#slots[slot]! >= 0) slot = (slot + 1) & mask;
    this.#slots[slot] = group;
  }

  #grow(): void {
    const size = this.#at.length * 2;
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
    const hash = new Int32Array(size);
    hash.set(this.#hash);
    const owned = new Uint8Array(size);
    owned.set(this.#owned);
    this.#hash = hash;
    this.#owned = owned;
    this.#at = u32(this.#at);
    this.#length = u32(this.#length);
    this.#first = u32(this.#first);
    this.#rows = u32(this.#rows);
    this.#open = f64(this.#open);
    this.#sealed = f64(this.#sealed);
    this.#slots = new Int32Array(size * 2).fill(-1);
    for (let group = 0; group < this.size; group++) this.#insert(group);
  }
}

/** FNV-1a over words. Collisions only cost a comparison. */
function hashOf(bytes: Uint8Array, view: DataView, at: number, length: number): number {
  let hash = 0x811c9dc5;
  let i = 0;
  for (; i + 4 <= length; i += 4) hash = Math.imul(hash ^ view.getInt32(at + i), 0x01000193);
  for (; i < length; i++) hash = Math.imul(hash ^ bytes[at + i]!, 0x01000193);
  hash ^= hash >>> 15;
  return hash;
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** The value of a COPY text field, null for `\N`. */
function copyText(bytes: Uint8Array, start: number, stop: number): string | null {
  const text = Buffer.from(bytes.buffer, start, stop - start).toString('utf8');
  if (!bytes.subarray(start, stop).includes(BACKSLASH)) return text;
  return text === '\\N' ? null : text.replace(/\\(.)/gs, (_, c: string) => ESCAPES[c] ?? c);
}
