/** What the logs of a chain come to for one tenant: the net effect on each record, by table. */
import { RestoreError } from '../errors.ts';
import type { Change, Text } from '../history/types.ts';
import type { Chain } from '../restore/chain.ts';
import { fold, type NetState } from '../restore/fold.ts';
import { SlabQueue, slabsOf } from '../restore/slabQueue.ts';
import { TRAIL } from './readLog.ts';
import type { SlabReader } from './readSlab.ts';
import type { FoldTable } from './syntheticTables.ts';
import type { OpenSection } from './types.ts';

export interface FoldedRecord {
  readonly state: NetState;
  /** Who owns the row after the last change. A change of owner is a delete and an insert. */
  readonly person: string | null;
}

/** table -> record -> what became of it */
export type Folded = ReadonlyMap<string, ReadonlyMap<string, FoldedRecord>>;

/** One share of a tenant's records, so that a long log fits into memory: `hash(record) % passes === pass`. */
export interface Share {
  readonly pass: number;
  readonly passes: number;
}

export const inShare = (record: string, { pass, passes }: Share): boolean =>
  passes === 1 || hashOf(record) % passes === pass;

function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

export async function foldLogs(
  reader: SlabReader,
  chain: Chain,
  tenant: string,
  tables: ReadonlyMap<string, FoldTable>,
  share: Share,
): Promise<Folded> {
  const byTable = new Map<string, Map<string, LoggedText[]>>();
  for (const manifest of chain.logs) {
    for await (const { sections } of new SlabQueue(
      reader,
      slabsOf(manifest, 'log', (t) => t === tenant),
    ).take()) {
      for (const section of sections) if (section.table === TRAIL) gather(section, tables, share, byTable);
    }
  }
  const folded = new Map<string, Map<string, FoldedRecord>>();
  for (const [table, records] of byTable) {
    const states = new Map<string, FoldedRecord>();
    for (const [record, changes] of records) states.set(record, foldRecord(tables.get(table)!, record, changes));
    folded.set(table, states);
    byTable.delete(table);
  }
  return folded;
}

/** A change as the log has it; JSON is parsed when its turn comes, so that a long log takes less room. */
interface LoggedText {
  readonly place: bigint;
  readonly seq: bigint;
  readonly action: Change['action'];
  readonly person: string | null;
  readonly open: string | null;
  readonly sealed: string | null;
  readonly erased: boolean;
}

function gather(
  section: OpenSection,
  tables: ReadonlyMap<string, FoldTable>,
  share: Share,
  byTable: Map<string, Map<string, LoggedText[]>>,
): void {
  const at = (name: string) => section.columns.indexOf(name);
  const [seq, before, table, action] = [at('seq'), at('before_seq'), at('table'), at('action')];
  const [record, person, open, sealed] = [at('record'), at('person'), at('changes'), at('changes_sealed')];
  const ranges = section.erased.map(([first, count]) => [first, first + count] as const);
  let row = -1;
  for (const line of lines(section.data)) {
    row += 1;
    const fields = line.split('\t');
    const rule = tables.get(copyValue(fields[table]!)!);
    const does = fields[action]! as Change['action'];
    if (!rule || does === 'T') continue; // the rows that a TRUNCATE removed precede it as deletes
    const erased = ranges.some(([from, to]) => row >= from && row < to);
    if (erased && rule.erase === 'delete') continue;
    const of = copyValue(fields[record]!);
    if (of === null) throw keyless(rule.name);
    if (!inShare(of, share)) continue;
    const records = byTable.get(rule.name) ?? new Map<string, LoggedText[]>();
    byTable.set(rule.name, records);
    const known = records.get(of) ?? [];
    records.set(of, known);
    const own = BigInt(fields[seq]!);
    known.push({
      place: fields[before] === '\\N' ? own : BigInt(fields[before]!),
      seq: own,
      action: does,
      person: copyValue(fields[person]!),
      open: copyValue(fields[open]!),
      sealed: copyValue(fields[sealed]!),
      erased,
    });
  }
}

/** Logs may overlap, so a change may be there twice. */
function foldRecord(table: FoldTable, record: string, changes: LoggedText[]): FoldedRecord {
  changes.sort((a, b) =>
    a.place !== b.place ? (a.place < b.place ? -1 : 1) : a.seq > b.seq ? -1 : a.seq < b.seq ? 1 : 0,
  );
  const once = changes.filter((c, i) => i === 0 || c.seq !== changes[i - 1]!.seq);
  const state = fold(
    once.map((c) => asChange(table, record, c)),
    'forward',
  )!;
  return { state, person: once.at(-1)!.person };
}

function asChange(table: FoldTable, record: string, change: LoggedText): Change {
  const { seq, action, open, sealed, erased, person } = change;
  const gone =
    erased && action !== 'U' ? Object.fromEntries(table.sealed.map((name): [string, Text] => [name, null])) : {};
  const parse = (json: string | null) => (json === null ? {} : (JSON.parse(json) as Record<string, Text>));
  return {
    seq,
    before: null,
    xid: 0n,
    at: '',
    table: table.id,
    action,
    organization: null,
    record,
    person,
    userId: null,
    actor: null,
    changes: { ...gone, ...parse(open), ...parse(sealed) },
    metadata: null,
  };
}

/** Lines of COPY text, without their newlines. */
function* lines(data: Buffer): Generator<string> {
  for (let from = 0; from < data.length; ) {
    const end = data.indexOf(10, from);
    const stop = end < 0 ? data.length : end;
    yield data.toString('utf8', from, stop);
    from = stop + 1;
  }
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** The value of a COPY field. */
export function copyValue(field: string): Text {
  if (!field.includes('\\')) return field;
  return field === '\\N' ? null : field.replace(/\\(.)/gs, (_, c: string) => ESCAPES[c] ?? c);
}

const keyless = (table: string) =>
  new RestoreError('HF_NO_KEY', `Table ${table} has no key, so its changes name no record.`, {
    action: 'Give it a primary key, and take a full backup of the database itself.',
    details: { table },
  });
