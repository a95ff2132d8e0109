/** Builds one slab of a synthetic full: rows of the base that still stand, changed ones, and new ones. */
import { IntegrityError, RestoreError } from '../errors.ts';
import { recordText } from '../history/record.ts';
import type { Text } from '../history/types.ts';
import type { PersonKey } from '../ports.ts';
import { copyField } from '../restore/copy.ts';
import type { SplitSlab } from './slab.ts';
import { copyValue, type Folded, type FoldedRecord, inShare, type Share } from './syntheticLog.ts';
import type { FoldTable } from './syntheticTables.ts';
import type { Section, SlabInput } from './types.ts';

const NEWLINE = 10;
type Split = SplitSlab['sections'][number];
const NOBODY = '';

/** Rows of one table under way into a slab, by the person who owns them. */
class Rows {
  readonly table: string;
  readonly columns: readonly string[];
  readonly sealed: readonly string[];
  readonly groups = new Map<string, { open: (Buffer | string)[]; sealed: (Buffer | string)[]; rows: number }>();

  constructor(table: string, columns: readonly string[], sealed: readonly string[]) {
    this.table = table;
    this.columns = columns;
    this.sealed = sealed;
  }

  /** `sealed` is empty for rows that nobody owns: all columns then stand in `open`. */
  add(ref: string, open: Buffer | string, sealed: Buffer | string = ''): void {
    const group = this.groups.get(ref) ?? { open: [], sealed: [], rows: 0 };
    this.groups.set(ref, group);
    append(group.open, open);
    if (sealed.length > 0) append(group.sealed, sealed);
    group.rows += 1;
  }
}

/** Neighbours in one buffer become one piece: most rows stand as they are, and an object for each would cost more than the row. */
function append(pieces: (Buffer | string)[], piece: Buffer | string): void {
  const last = pieces.at(-1);
  const follows =
    Buffer.isBuffer(last) &&
    Buffer.isBuffer(piece) &&
    last.buffer === piece.buffer &&
    last.byteOffset + last.length === piece.byteOffset;
  if (follows) pieces[pieces.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + piece.length);
  else pieces.push(piece);
}

export interface SlabRows {
  readonly sections: SlabInput['sections'];
  readonly persons: SlabInput['persons'];
  readonly rows: Readonly<Record<string, number>>;
  readonly bytes: number;
}

export class SlabBuilder {
  readonly #tables: ReadonlyMap<string, FoldTable>;
  readonly #share: Share;
  readonly #keys = new Map<string, Buffer>();
  readonly #built: Rows[] = [];
  readonly #whole: { section: Split; persons: SplitSlab['persons'] }[] = [];
  /** Records of which the log knows a part, found in the base. */
  matched = 0;

  constructor(tables: ReadonlyMap<string, FoldTable>, share: Share) {
    this.#tables = tables;
    this.#share = share;
  }

  /** Takes what of a slab of the base still stands. `tenantTables` false: only tables that belong to no tenant. */
  takeBase(slab: SplitSlab, folded: Folded, tenantTables: boolean): void {
    for (const { ref, key } of slab.persons) if (key) this.#keys.set(ref, key);
    for (const section of slab.sections) {
      const table = this.#tables.get(section.table);
      if (!table || (table.tenant && !tenantTables)) continue;
      const nets = folded.get(section.table);
      const erased =
        section.sealed.length > 0 && section.runs.some((p, i) => i % 2 === 0 && p >= 0 && !section.parts[p]);
      if (!nets && !erased && this.#share.passes === 1) this.#whole.push({ section, persons: slab.persons });
      else this.#sift(table, section, slab.persons, nets ?? new Map());
    }
  }

  #sift(
    table: FoldTable,
    section: Split,
    persons: SplitSlab['persons'],
    nets: ReadonlyMap<string, FoldedRecord>,
  ): void {
    const { columns, sealed, runs } = section;
    const names = [...columns, ...sealed];
    const key = table.key.map((name) => names.indexOf(name));
    const into = new Rows(section.table, columns, sealed);
    const nulls = '\t\\N'.repeat(sealed.length);
    const partAt = new Map<number, number>();
    let at = 0;
    for (let i = 0; i < runs.length; i += 2) {
      const person = runs[i]!;
      const owned = person >= 0 && sealed.length > 0;
      const part = owned ? section.parts[person] : undefined;
      const lost = owned && !part;
      const ref = owned && part ? persons[person]!.ref : NOBODY;
      for (let n = runs[i + 1]!; n > 0; n--) {
        const end = lineEnd(section.open, at);
        let open: Buffer | string = section.open.subarray(at, end);
        at = end;
        let own: Buffer | string = '';
        if (part) {
          const from = partAt.get(person) ?? 0;
          const stop = lineEnd(part, from);
          own = part.subarray(from, stop);
          partAt.set(person, stop);
        } else if (lost) open = `${open.toString('utf8', 0, open.length - 1)}${nulls}\n`;
        if (lost && table.erase === 'delete') continue;
        // A table without a key has no log; its rows go with the first share.
        if (key.length === 0) {
          if (this.#share.pass === 0) into.add(ref, open, own);
          continue;
        }
        const fields = split(open, own);
        const record = recordText(key.map((k) => copyValue(fields[k]!)!));
        if (!inShare(record, this.#share)) continue;
        const net = nets.get(record)?.state;
        if (net === undefined) into.add(ref, open, own);
        else if (net.kind === 'partial') {
          this.matched += 1;
          overwrite(table, names, fields, net.set);
          if (own.length === 0) into.add(ref, `${fields.join('\t')}\n`);
          else into.add(ref, ...rejoin(fields, columns.length));
        }
      }
    }
    this.#built.push(into);
  }

  /** Rows that the log holds whole. @returns the persons to ask keys for */
  static persons(folded: Folded, tables: ReadonlyMap<string, FoldTable>): string[] {
    const ids = new Set<string>();
    for (const [name, records] of folded) {
      if (tables.get(name)!.sealed.length === 0) continue;
      for (const { state, person } of records.values()) if (state.kind === 'full' && person !== null) ids.add(person);
    }
    return [...ids];
  }

  takeNew(folded: Folded, known: ReadonlyMap<string, PersonKey>): void {
    for (const { ref, key } of known.values()) this.#keys.set(ref, key);
    for (const [name, records] of folded) {
      const table = this.#tables.get(name)!;
      const names = [...table.open, ...table.sealed];
      const into = new Rows(name, table.open, table.sealed);
      for (const [record, { state, person }] of records) {
        if (state.kind !== 'full') continue;
        const owned = person !== null && table.sealed.length > 0;
        const owner = owned ? known.get(person) : undefined;
        if (owned && !owner && table.erase === 'delete') continue;
        const row = owned && !owner ? { ...state.row, ...withNull(table.sealed) } : state.row;
        const fields = names.map((column) => field(table, record, column, row[column]));
        if (owner) into.add(owner.ref, ...rejoin(fields, table.open.length));
        else into.add(NOBODY, `${fields.join('\t')}\n`);
      }
      this.#built.push(into);
    }
  }

  /** undefined when nothing stands in it. */
  finish(): SlabRows | undefined {
    const built = this.#built.filter((r) => r.groups.size > 0);
    const whole = this.#whole.filter(({ section }) => section.rows > 0);
    const count = built.length + whole.length;
    if (count === 0) return undefined;
    const persons: { ref: string; key: Buffer; parts: Uint8Array[] }[] = [];
    const indexOf = new Map<string, number>();
    const none = new Uint8Array(0);
    const personAt = (ref: string): number => {
      let index = indexOf.get(ref);
      if (index === undefined) {
        index = persons.push({ ref, key: this.#keys.get(ref)!, parts: Array.from({ length: count }, () => none) }) - 1;
        indexOf.set(ref, index);
      }
      return index;
    };
    const sections: Section[] = [];
    for (const { section, persons: own } of whole) {
      const { table, columns, sealed, rows, open } = section;
      const runs: [number, number][] = [];
      for (let i = 0; i < section.runs.length; i += 2) {
        const person = section.runs[i]!;
        const part = person >= 0 && sealed.length > 0 ? section.parts[person] : undefined;
        const index = part ? personAt(own[person]!.ref) : -1;
        if (part) persons[index]!.parts[sections.length] = part;
        runs.push([index, section.runs[i + 1]!]);
      }
      sections.push({ table, columns, sealed, rows, runs, open });
    }
    for (const { table, columns, sealed, groups } of built) {
      const runs: [number, number][] = [];
      const pieces: (Buffer | string)[] = [];
      let rows = 0;
      for (const [ref, group] of groups) {
        const index = ref === NOBODY ? -1 : personAt(ref);
        if (index >= 0) persons[index]!.parts[sections.length] = joined(group.sealed);
        runs.push([index, group.rows]);
        for (const piece of group.open) pieces.push(piece);
        rows += group.rows;
      }
      sections.push({ table, columns, sealed, rows, runs, open: joined(pieces) });
    }
    const rows: Record<string, number> = {};
    for (const s of sections) rows[s.table] = (rows[s.table] ?? 0) + s.rows;
    const bytes =
      sections.reduce((sum, s) => sum + s.open.length, 0) +
      persons.reduce((sum, p) => sum + p.parts.reduce((n, part) => n + part.length, 0), 0);
    return { sections, persons, rows, bytes };
  }
}

const joined = (pieces: readonly (Buffer | string)[]): Buffer =>
  Buffer.concat(pieces.map((p) => (typeof p === 'string' ? Buffer.from(p) : p)));

const withNull = (columns: readonly string[]): Record<string, null> =>
  Object.fromEntries(columns.map((name) => [name, null]));

function lineEnd(text: Buffer, from: number): number {
  const end = text.indexOf(NEWLINE, from) + 1;
  if (end > 0) return end;
  throw new IntegrityError('HF_SLAB_MALFORMED', 'A slab has fewer rows than its directory says.', {
    action: 'The writer of this backup was at fault: fold from another backup, and report this.',
  });
}

/** Fields of a row whose halves are given, newlines included. */
function split(open: Buffer | string, sealed: Buffer | string): string[] {
  const fields = open.toString().slice(0, -1).split('\t');
  return sealed.length === 0 ? fields : [...fields, ...sealed.toString().slice(0, -1).split('\t')];
}

const rejoin = (fields: readonly string[], open: number): [string, string] => [
  `${fields.slice(0, open).join('\t')}\n`,
  `${fields.slice(open).join('\t')}\n`,
];

function overwrite(
  table: FoldTable,
  names: readonly string[],
  fields: string[],
  set: Readonly<Record<string, Text>>,
): void {
  for (const [name, value] of Object.entries(set)) {
    const at = names.indexOf(name);
    if (at >= 0) fields[at] = copyField(value);
    else if (!table.columns.has(name)) throw changed(table, name);
  }
}

function field(table: FoldTable, record: string, column: string, value: Text | undefined): string {
  if (value !== undefined) return copyField(value);
  throw new RestoreError('HF_SCHEMA_CHANGED', `Record ${record} of ${table.name} was logged without ${column}.`, {
    action: 'Take a full backup of the database itself: holdfast backup --type full.',
    details: { table: table.name, record, column },
  });
}

const changed = (table: FoldTable, column: string) =>
  new RestoreError('HF_SCHEMA_CHANGED', `The log of ${table.name} has column ${column}, which the table has not.`, {
    action: 'Take a full backup of the database itself: holdfast backup --type full.',
    details: { table: table.name, column },
  });
