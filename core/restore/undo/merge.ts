/**
 * Three ways, per field: what stood there before the undone changes (base), what they wrote (theirs), what stands there now
 * (current). One record at a time, one change at a time; memory is a few values per column. Pure.
 */
import { IntegrityError } from '../../errors.ts';
import type { Change, Text } from '../../history/types.ts';
import type { By, ConflictKind, Take } from './types.ts';

type Values = Record<string, Text>;

/** What the undo of one record comes to. Update: `after` holds only columns that differ, and `before` the same ones. */
export type Outcome =
  | { readonly action: 'none' }
  | { readonly action: 'insert'; readonly after: Values }
  | { readonly action: 'update'; readonly before: Values; readonly after: Values }
  | { readonly action: 'delete'; readonly before: Values };

export interface FieldConflict {
  readonly kind: Extract<ConflictKind, 'edited' | 'deleted' | 'recreated'>;
  /** Absent: the row as a whole. */
  readonly column?: string;
  readonly base?: Text;
  readonly theirs?: Text;
  readonly current?: Text;
  readonly by: readonly By[];
}

/** Decides a conflict; null leaves it undecided, and what is there stays. */
export type Decide = (conflict: FieldConflict) => Take | null;

/** Editors that are remembered for one field. */
const REMEMBERED = 5;

/** A run of undone writes that nobody else's write interrupts: later runs supersede earlier ones, which others wrote over. */
interface Run<T> {
  base: T;
  theirs: T;
  /** Others that wrote after it. */
  later: By[];
}

export class Chain {
  /** Whether the field's undone writes count; undefined: all, and the row's own coming and going too. */
  readonly #columns: ReadonlySet<string> | undefined;
  readonly #last = new Map<string, Text>();
  readonly #runs = new Map<string, Run<Text | undefined>>();
  readonly #by: By[] = [];
  #existence: Run<boolean> | undefined;
  #lastToEnd: 'undone' | 'other' | undefined;
  #present: boolean | undefined;
  /** The row just before the undone deletion. */
  #atDelete: Values | undefined;
  /** Edits by others of the row that is there now. */
  #edits: { columns: Set<string>; by: By[] } = { columns: new Set(), by: [] };
  #begun = false;

  constructor(columns?: ReadonlySet<string>) {
    this.#columns = columns;
  }

  /** Who made the undone changes; the newest five. */
  get by(): readonly By[] {
    return this.#by;
  }

  /** Changes come in their order. Those before the first undone one say nothing. */
  add(change: Change, undone: boolean): void {
    if (!this.#begun && !undone) return;
    this.#begun = true;
    this.#follows(change);
    const who: By = { userId: change.userId, at: change.at, xid: String(change.xid) };
    let counted = undone && this.#columns === undefined;
    const values = change.changes ?? {};
    if (change.action === 'U') {
      for (const [column, pair] of Object.entries(values)) {
        const [old, now] = pair as [Text, Text];
        if (undone && this.#columns?.has(column)) counted = true;
        this.#write(column, old, now, undone && this.#counts(column), who);
      }
      if (!undone) this.#edited(Object.keys(values), who);
      this.#present ??= true;
    } else if (change.action === 'I') {
      for (const [column, now] of Object.entries(values) as [string, Text][]) {
        const old = this.#last.get(column);
        if (old !== now) this.#write(column, old, now, undone && this.#counts(column), who);
      }
      this.#exist(true, undone, who);
      this.#edits = { columns: new Set(), by: [] };
    } else {
      for (const [column, value] of Object.entries(values) as [string, Text][]) this.#last.set(column, value);
      if (undone && !this.#columns) this.#atDelete = Object.fromEntries(this.#last);
      this.#exist(false, undone, who);
    }
    if (counted) remember(this.#by, who);
  }

  finish(decide: Decide): Outcome {
    const run = this.#existence;
    if (run && run.base !== run.theirs) {
      if (run.later.length === 0) return run.base ? this.#bringBack(decide) : this.#remove(decide);
      return run.base ? this.#recreated(run, decide) : { action: 'none' };
    }
    return this.#present === false ? this.#gone(decide) : this.#fields(decide);
  }

  /** A field to a moment at which its row did not exist yet: there is no value to go back to. */
  get withoutBase(): boolean {
    return this.#columns !== undefined && this.#existence === undefined && this.#bornSince;
  }

  #bornSince = false;

  #counts(column: string): boolean {
    return this.#columns === undefined || this.#columns.has(column);
  }

  #write(column: string, old: Text | undefined, now: Text, undone: boolean, who: By): void {
    this.#last.set(column, now);
    const run = this.#runs.get(column);
    if (!undone) {
      if (run) remember(run.later, who);
    } else if (run && run.later.length === 0) run.theirs = now;
    else this.#runs.set(column, { base: old, theirs: now, later: [] });
  }

  #exist(there: boolean, undone: boolean, who: By): void {
    if (there && this.#present === undefined) this.#bornSince = true;
    this.#present = there;
    // With fields chosen, the row's own coming and going is nobody's that is undone.
    const counts = undone && this.#columns === undefined;
    if (!there) this.#lastToEnd = counts ? 'undone' : 'other';
    const run = this.#existence;
    if (!counts) {
      if (run) remember(run.later, who);
      if (!there) this.#endedBy = who;
    } else if (run && run.later.length === 0) run.theirs = there;
    else this.#existence = { base: !there, theirs: there, later: [] };
  }

  #endedBy: By | undefined;

  #edited(columns: readonly string[], who: By): void {
    for (const column of columns) this.#edits.columns.add(column);
    if (columns.length > 0) remember(this.#edits.by, who);
  }

  /** The undone change made the row: it goes, unless somebody has worked on it. */
  #remove(decide: Decide): Outcome {
    if (this.#edits.by.length > 0 && decide({ kind: 'edited', by: this.#edits.by }) !== 'base')
      return { action: 'none' };
    return { action: 'delete', before: Object.fromEntries(this.#last) };
  }

  /** The undone change deleted the row: it comes back as it was, less what was undone in it before. */
  #bringBack(decide: Decide): Outcome {
    const after = Object.fromEntries(this.#last);
    for (const [column, value] of this.#changed(decide)) after[column] = value;
    return { action: 'insert', after };
  }

  /** The undone change deleted the row, and somebody has made another one under its key, or has done so and deleted it. */
  #recreated(run: Run<boolean>, decide: Decide): Outcome {
    if (decide({ kind: 'recreated', by: run.later }) !== 'base') return { action: 'none' };
    const after = { ...this.#atDelete! };
    for (const [column, { base }] of this.#runs) if (base !== undefined) after[column] = base;
    if (!this.#present) return { action: 'insert', after };
    return update(this.#last, Object.entries(after));
  }

  /** Fields were undone in a row that somebody else has deleted. */
  #gone(decide: Decide): Outcome {
    const bases = [...this.#runs].filter(([, r]) => r.base !== undefined && r.base !== r.theirs);
    if (bases.length === 0 || this.#lastToEnd !== 'other') return { action: 'none' };
    if (decide({ kind: 'deleted', by: [this.#endedBy!] }) !== 'base') return { action: 'none' };
    const after = Object.fromEntries(this.#last);
    for (const [column, { base }] of bases) after[column] = base!;
    return { action: 'insert', after };
  }

  #fields(decide: Decide): Outcome {
    return update(this.#last, this.#changed(decide));
  }

  /** Columns and the values that they are to have. */
  #changed(decide: Decide): [string, Text][] {
    const result: [string, Text][] = [];
    for (const [column, { base, theirs, later }] of this.#runs) {
      const current = this.#last.get(column)!;
      if (base === undefined || theirs === undefined || base === theirs || current === base) continue;
      if (current === theirs) {
        result.push([column, base]);
        continue;
      }
      const take = decide({ kind: 'edited', column, base, theirs, current, by: later });
      if (take === 'base') result.push([column, base]);
      else if (take === 'theirs') result.push([column, theirs]);
    }
    return result;
  }

  #follows(change: Change): void {
    const there = this.#present;
    if (there === undefined || there !== (change.action === 'I')) return;
    throw new IntegrityError(
      'HF_HISTORY_BROKEN',
      `History of record ${change.record} (table ${change.table}) has a hole before change ${change.seq}: ` +
        `${change.action} cannot follow ${there ? 'a row that is there' : 'a deletion'}.`,
      {
        action: 'Run "holdfast doctor"; restore this table from a full backup taken after the hole.',
        details: { table: change.table, record: change.record, seq: String(change.seq) },
      },
    );
  }
}

function update(last: ReadonlyMap<string, Text>, wanted: readonly [string, Text][]): Outcome {
  const before: Values = {};
  const after: Values = {};
  for (const [column, value] of wanted) {
    const current = last.get(column) ?? null;
    if (current === value) continue;
    before[column] = current;
    after[column] = value;
  }
  return Object.keys(after).length === 0 ? { action: 'none' } : { action: 'update', before, after };
}

/** Newest first, each editor once. */
function remember(list: By[], who: By): void {
  const known = list.findIndex((b) => b.userId === who.userId);
  if (known >= 0) list.splice(known, 1);
  list.unshift(who);
  if (list.length > REMEMBERED) list.pop();
}
