/**
 * From a row of the trail to its leaf. A row is read as one line of COPY's text format with the columns of LINE_SQL; what is
 * hashed are pieces of that line, so that no value is decoded and written again on the way.
 */
import { hash } from 'node:crypto';
import { REDACTED } from './redaction.ts';

/** Up to `row_table` a row stands in the open; from `record` on it is committed to. `changes` is split by column. */
export const LINE_SQL = `t.seq, t.before_seq, t.xid, t.at, t.table_id, t.action, t.organization, t.row_version, t.row_table,
  t.record, t.person, t.user_id, t.actor, t.metadata, t.changes`;
export const FIELDS = 15;
export const SCALARS_END = 9;

/** What the hashed texts begin with. */
export const COMMITMENT = 'holdfast-commitment-1\n';
export const LEAF = 'holdfast-leaf-1\n';

/** The five columns of an actor's context in the same format; what a row without an actor has. */
export const NO_CONTEXT = '\\N\t\\N\t\\N\t\\N\t\\N';

/** A row's line, taken apart. */
export interface Line {
  /** `seq … row_table`, tabs between. */
  readonly open: string;
  /** `record … metadata`, tabs between. */
  readonly committed: string;
  /** `changes` as JSON text, or `\N`. */
  readonly changes: string;
  readonly seq: string;
  readonly xid: string;
  readonly table: string;
  readonly organization: string;
  readonly record: string;
  readonly actor: string;
}

/** Names of a table's columns that stand in the open; undefined: none does. */
export type OpenColumns = ReadonlySet<string> | undefined;

export function parseLine(line: string): Line {
  const at: number[] = new Array(FIELDS);
  let tab = -1;
  for (let i = 0; i < FIELDS - 1; i++) {
    tab = line.indexOf('\t', tab + 1);
    at[i] = tab;
  }
  const scalars = at[SCALARS_END - 1]!;
  const changes = line.slice(tab + 1);
  return {
    open: line.slice(0, scalars),
    committed: line.slice(scalars + 1, tab),
    changes: changes !== '\\N' && changes.includes('\\') ? unescapeCopy(changes) : changes,
    seq: line.slice(0, at[0]),
    xid: line.slice(at[1]! + 1, at[2]),
    table: line.slice(at[3]! + 1, at[4]),
    organization: line.slice(at[5]! + 1, at[6]),
    record: line.slice(scalars + 1, at[SCALARS_END]),
    actor: line.slice(at[11]! + 1, at[12]),
  };
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** A field of COPY's text format as the text it stands for. */
const unescapeCopy = (field: string): string => field.replace(/\\(.)/g, (_, c: string) => ESCAPES[c] ?? c);

export const fieldText = (field: string): string | null => (field === '\\N' ? null : unescapeCopy(field));

/** What stands under the commitment: salt (hex), who and whom it concerns, and the columns that are not open. */
export function commitment(line: Line, salt: string, context: string, split: readonly [string, string]): string {
  return hash('sha256', `${COMMITMENT}${salt}\t${line.committed}\t${context}\t${split[1]}`, 'hex');
}

export function leaf(line: Line, committed: string, split: readonly [string, string]): string {
  return hash('sha256', `${LEAF}${line.open}\t${split[0]}\t${committed}`, 'hex');
}

/**
 * The open and the committed part of `changes`, each a JSON object as text (or `\N`), entries as jsonb writes them. What jsonb
 * would not write is taken as a whole, so that it is nothing that was ever sealed.
 */
export function splitChanges(changes: string, open: OpenColumns): [string, string] {
  if (changes === '\\N') return ['\\N', '\\N'];
  if (!open) return ['{}', changes];
  let shown = '';
  let hidden = '';
  let at = 1;
  while (changes.charCodeAt(at) === QUOTE) {
    const nameEnd = stringEnd(changes, at);
    const end = changes.startsWith(': ', nameEnd) ? valueEnd(changes, nameEnd + 2) : -1;
    const more = changes.startsWith(', ', end);
    if (end < 0 || !(more || end === changes.length - 1)) return [changes, 'malformed'];
    const raw = changes.slice(at + 1, nameEnd - 1);
    const name = raw.includes('\\') ? (JSON.parse(changes.slice(at, nameEnd)) as string) : raw;
    const entry = changes.slice(at, end);
    if (open.has(name)) shown += shown ? `, ${entry}` : entry;
    else hidden += hidden ? `, ${entry}` : entry;
    at = more ? end + 2 : end;
  }
  return changes.endsWith('}', at + 1) && at === changes.length - 1
    ? [`{${shown}}`, `{${hidden}}`]
    : [changes, 'malformed'];
}

const QUOTE = 34;
const BACKSLASH = 92;
const BRACKET = 91;
const BRACE = 123;

/** Just past the string that begins at `at`. */
function stringEnd(text: string, at: number): number {
  let end = text.indexOf('"', at + 1);
  while (text.charCodeAt(end - 1) === BACKSLASH) {
    let slashes = 1;
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) break;
    end = text.indexOf('"', end + 1);
  }
  return end < 0 ? text.length : end + 1;
}

/** Just past a value: a string, null, a pair of these, or the mark of a redaction; -1 for anything else. */
function valueEnd(text: string, at: number): number {
  switch (text.charCodeAt(at)) {
    case QUOTE:
      return stringEnd(text, at);
    case BRACKET: {
      const middle = valueEnd(text, at + 1);
      const end = middle > 0 && text.startsWith(', ', middle) ? valueEnd(text, middle + 2) : -1;
      return end > 0 && text.startsWith(']', end) ? end + 1 : -1;
    }
    case BRACE:
      return text.startsWith(REDACTED, at) ? at + REDACTED.length : -1;
    default:
      return text.startsWith('null', at) ? at + 4 : -1;
  }
}
