/** Joining the two halves of rows: the open part, and the parts out of the capsules of the persons who own the rows. */
import { IntegrityError } from '../errors.ts';

const NEWLINE = 10;
const TAB = 9;

/** What a slab's directory says of a section, and its open part. */
export interface SplitSection {
  readonly table: string;
  readonly columns: number;
  readonly sealed: number;
  readonly rows: number;
  /** Person index (or -1) and row count, alternating. */
  readonly runs: readonly number[];
  readonly open: Buffer;
}

/**
 * Rows in COPY text, `columns` then `sealed`. `parts(person)` is that person's half of this section, or undefined when
 * their key is gone: the sealed columns are then null. Byte loops, because a call per row costs more than the row.
 */
export function joinRows(section: SplitSection, parts: (person: number) => Buffer | undefined): Buffer {
  const { open, runs, columns, sealed } = section;
  if (sealed === 0) {
    if (countRows(open) !== section.rows) throw malformed(section, 'its rows are not as many as it says');
    return open;
  }
  const nulls = Buffer.from(`${columns > 0 ? '\t' : ''}${Array(sealed).fill('\\N').join('\t')}\n`);
  let size = open.length;
  const persons = new Map<number, { part: Buffer | undefined; at: number }>();
  for (let i = 0; i < runs.length; i += 2) {
    const person = runs[i]!;
    if (person < 0) continue;
    if (!persons.has(person)) {
      const part = parts(person);
      persons.set(person, { part, at: 0 });
      size += part?.length ?? 0;
    }
    if (!persons.get(person)!.part) size += nulls.length * runs[i + 1]!;
  }
  const out = Buffer.allocUnsafe(size);
  let at = 0;
  let from = 0;
  let rows = 0;
  for (let i = 0; i < runs.length; i += 2) {
    const person = persons.get(runs[i]!);
    const part = person?.part;
    let partAt = person?.at ?? 0;
    rows += runs[i + 1]!;
    if (!person) {
      const end = skipRows(open, from, runs[i + 1]!);
      if (end < 0) throw malformed(section, 'its open part has too few rows');
      at += open.copy(out, at, from, end);
      from = end;
      continue;
    }
    for (let row = runs[i + 1]!; row > 0; row--) {
      for (let byte = open[from++]; byte !== NEWLINE; byte = open[from++]) {
        if (byte === undefined) throw malformed(section, 'its open part has too few rows');
        out[at++] = byte;
      }
      if (!part) {
        at += nulls.copy(out, at);
        continue;
      }
      if (columns > 0) out[at++] = TAB;
      for (let byte = part[partAt++]; byte !== NEWLINE; byte = part[partAt++]) {
        if (byte === undefined) throw malformed(section, 'a capsule has too few rows');
        out[at++] = byte;
      }
      out[at++] = NEWLINE;
    }
    person.at = partAt;
  }
  const left = [...persons.values()].some(({ part, at: read }) => part && read !== part.length);
  if (from !== open.length || left || rows !== section.rows) throw malformed(section, 'it has rows left over');
  return out.subarray(0, at);
}

/** The offset after `count` rows, or -1 when there are fewer. */
function skipRows(text: Buffer, from: number, count: number): number {
  let at = from;
  for (let row = 0; row < count; row++) {
    at = text.indexOf(NEWLINE, at) + 1;
    if (at === 0) return -1;
  }
  return at;
}

function countRows(text: Uint8Array): number {
  let rows = 0;
  for (let i = 0; i < text.length; i++) if (text[i] === NEWLINE) rows++;
  if (text.length > 0 && text[text.length - 1] !== NEWLINE) rows++;
  return rows;
}

function malformed(section: SplitSection, why: string): IntegrityError {
  return new IntegrityError('HF_SLAB_MALFORMED', `The rows of ${section.table} cannot be put together: ${why}.`, {
    action: 'The writer of this backup was at fault: restore from another backup, and report this.',
    details: { table: section.table, rows: section.rows },
  });
}
