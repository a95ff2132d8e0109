/**
 * Splits rows of a COPY into open and sealed bytes, grouped by tenant and person. It runs once for every row of a backup,
 * so it touches each byte at most once, compares words, and makes an object per group, never per row.
 */
import type { RowArena } from './arena.ts';
import { GroupTable, type TenantGroups } from './groups.ts';
import { fieldEnd, NEWLINE, same, skip, skipBack } from './scan.ts';

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
    this.#groups = new GroupTable(layout);
  }

  /** Notes one row: `[start, stop)` in the wire area, newline included. */
  row(start: number, stop: number): void {
    const arena = this.#arena;
    const { bytes } = arena;
    const n = this.#rows;
    if (n === this.#start.length) this.#growRows();

    const length = this.#lastLength;
    let first = this.#lastFirst;
    let group: number;
    if (length >= 0 && start + length < stop && same(arena, this.#lastStart, arena, start, length)) {
      group = this.#lastGroup;
    } else {
      let at = start;
      if (this.#prefix > 0) {
        at = fieldEnd(bytes, start);
        first = at - start;
        if (this.#prefix > 1) at = fieldEnd(bytes, at + 1);
      }
      group = this.#groups.find(arena, start, at - start, first);
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
      split = this.#backwards ? skipBack(bytes, stop - 1, sealed) : skip(arena, after, open - (this.#prefix - helpers));
      if (n < TRIAL) {
        this.#openSeen += split - after;
        this.#sealedSeen += stop - split;
        this.#backwards = n === TRIAL - 1 && this.#sealedSeen < this.#openSeen;
      }
    }
    const { base } = arena;
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
    const tenants = this.#groups.tenants();
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
        persons: persons.map((group) => this.#groups.person(group)),
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
    tenants: readonly TenantGroups[],
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
