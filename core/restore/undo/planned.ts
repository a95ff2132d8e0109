/** Gathers what an undo will do, row by row as it is found: all of it counted and hashed, some of it kept to show. */
import { createHash, type Hash } from 'node:crypto';
import { shownText } from '../../history/redacted.ts';
import type { Text } from '../../history/types.ts';
import type { Counts } from '../statement.ts';
import type { Facts } from './desk.ts';
import type { RecordNet } from './nets.ts';
import type { MarkedChange } from './read.ts';
import type { Author, PlannedRow } from './types.ts';

const WHAT = { insert: 'inserted', update: 'updated', delete: 'deleted' } as const;
const AUTHORS = 50;
/** People that are told apart; those beyond are counted as one. */
const PEOPLE = 10_000;

export class Planned {
  readonly rows: PlannedRow[] = [];
  readonly #limit: number;
  readonly #facts: Facts;
  readonly #hash: Hash;
  readonly #tables = new Map<string, { inserted: number; updated: number; deleted: number }>();
  readonly #authors = new Map<string | null, { changes: number; first: string; last: string }>();

  /** `subject`: what was asked for; it is part of the fingerprint. */
  constructor(facts: Facts, limit: number, subject: unknown) {
    this.#facts = facts;
    this.#limit = limit;
    this.#hash = createHash('sha256').update(JSON.stringify(subject));
  }

  add(net: RecordNet, included?: true): void {
    const table = this.#facts.targets.get(net.table)!.bound.name;
    const before = net.action === 'insert' ? null : net.before;
    const after = net.action === 'delete' ? null : net.after;
    this.#hash.update(
      JSON.stringify([table, net.record, net.action, sorted(before), sorted(after), included ?? false]),
    );
    this.#countsOf(table)[WHAT[net.action]] += 1;
    if (this.rows.length < this.#limit) {
      this.rows.push({
        table,
        record: net.record,
        action: net.action,
        before: before && shownRow(before),
        after,
        by: net.by,
        ...(included ? { included } : {}),
      });
    }
  }

  /** A record that the undo leaves alone after all. */
  leaveOut(table: string, record: string, action: PlannedRow['action']): void {
    this.#hash.update(JSON.stringify(['left', table, record]));
    this.#countsOf(table)[WHAT[action]] -= 1;
    const at = this.rows.findIndex((row) => row.table === table && row.record === record);
    if (at >= 0) this.rows.splice(at, 1);
  }

  undone(change: MarkedChange): void {
    const key = this.#authors.size < PEOPLE || this.#authors.has(change.userId) ? change.userId : null;
    const known = this.#authors.get(key);
    if (!known) this.#authors.set(key, { changes: 1, first: change.at, last: change.at });
    else {
      known.changes += 1;
      if (change.at < known.first) known.first = change.at;
      if (change.at > known.last) known.last = change.at;
    }
  }

  get authors(): Author[] {
    return [...this.#authors]
      .map(([userId, rest]) => ({ userId, ...rest }))
      .sort((a, b) => b.changes - a.changes)
      .slice(0, AUTHORS);
  }

  get people(): number {
    return this.#authors.size;
  }

  get tables(): Record<string, Counts> {
    return Object.fromEntries([...this.#tables].filter(([, c]) => c.inserted + c.updated + c.deleted > 0));
  }

  get totals(): Counts {
    const total = (what: keyof Counts) => [...this.#tables.values()].reduce((sum, c) => sum + c[what], 0);
    return { inserted: total('inserted'), updated: total('updated'), deleted: total('deleted') };
  }

  get rowCount(): number {
    const { inserted, updated, deleted } = this.totals;
    return inserted + updated + deleted;
  }

  fingerprint(): string {
    return this.#hash.copy().digest('hex');
  }

  #countsOf(table: string) {
    let counts = this.#tables.get(table);
    if (!counts) {
      counts = { inserted: 0, updated: 0, deleted: 0 };
      this.#tables.set(table, counts);
    }
    return counts;
  }
}

const shownRow = (row: Readonly<Record<string, Text>>): Record<string, Text> =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, shownText(value)]));

/** Columns come in the order of the changes that touched them, which says nothing about what will be done. */
const sorted = (values: Readonly<Record<string, unknown>> | null) =>
  values && Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));
