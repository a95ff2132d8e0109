/** Walks the log of seals from its first entry: numbers, digests, signatures, bounds. The first of the two passes of verify. */
import type pg from 'pg';
import type { Trust } from '../../ports.ts';
import { isFault, readEntry, type WrittenEntry } from './entry.ts';
import { redactionDigest } from './redaction.ts';
import {
  BEFORE_ALL,
  type Entry,
  type Fault,
  NOTHING,
  type PruneEntry,
  type RedactionEntry,
  type ResumeEntry,
} from './types.ts';

export interface EntryLog {
  readonly trust: Trust;
  readonly last: WrittenEntry | undefined;
  readonly entries: number;
  /** By number - 1: the digest of each entry, so that the second pass knows that it reads the same. */
  readonly digests: readonly string[];
  /** Ids of the logs that the entries belong to. */
  readonly logs: ReadonlySet<string>;
  readonly prunes: readonly PruneEntry[];
  readonly resumes: readonly ResumeEntry[];
  /** `entry/chain` of lists of redactions that are as they were signed. */
  readonly authorised: ReadonlySet<string>;
  /** Rows that all batches say they sealed. */
  readonly rows: number;
  /** Where the last batch ends; null: there is none. */
  readonly sealedTo: { readonly at: string; readonly to: string } | null;
}

const PAGE = 1000;

/** Entries in order, a page at a time. */
export async function* entriesOf(client: pg.Client): AsyncIterable<{ number: number; document: string }> {
  let after = 0;
  for (;;) {
    const { rows } = await client.query<{ number: string; document: string }>(
      'select number::text, document from holdfast.seal_entries e where e.number > $1 order by e.number limit $2',
      [after, PAGE],
    );
    for (const row of rows) yield { number: Number(row.number), document: row.document };
    if (rows.length < PAGE) return;
    after = Number(rows.at(-1)!.number);
  }
}

export async function readEntryLog(client: pg.Client, trust: Trust, report: (fault: Fault) => void): Promise<EntryLog> {
  const walk = new Walk(report);
  const authorised = new Set<string>();
  for await (const { number, document } of entriesOf(client)) {
    const read = await readEntry(document, number, trust);
    const entry = walk.take(number, read);
    if (entry?.kind === 'redaction') {
      for (const chain of await checkLists(client, entry, report)) authorised.add(`${number}/${chain}`);
    }
  }
  const { last, digests, logs, prunes, resumes, rows, sealedTo } = walk;
  return { trust, last, entries: digests.length, digests, logs, prunes, resumes, authorised, rows, sealedTo };
}

/** What was lawfully pruned and scrubbed since the log was read: signed entries that excuse what a later snapshot lacks. */
export async function laterNotes(
  client: pg.Client,
  log: EntryLog,
): Promise<{ readonly prunes: readonly PruneEntry[]; readonly authorised: ReadonlySet<string> }> {
  const { rows } = await client.query<{ number: string; document: string }>(
    'select number::text, document from holdfast.seal_entries e where e.number > $1 order by e.number',
    [log.digests.length],
  );
  const prunes: PruneEntry[] = [];
  const authorised = new Set<string>();
  for (const { number, document } of rows) {
    const read = await readEntry(document, Number(number), log.trust);
    if (isFault(read)) continue; // for the next run to tell
    if (read.entry.kind === 'prune') prunes.push(read.entry);
    if (read.entry.kind !== 'redaction') continue;
    for (const chain of await checkLists(client, read.entry, () => {})) authorised.add(`${number}/${chain}`);
  }
  return { prunes, authorised };
}

/** Checks each entry against the one before. After a faulty one it takes up again, so that one fault is told once. */
class Walk {
  readonly #report: (fault: Fault) => void;
  readonly digests: string[] = [];
  readonly logs = new Set<string>();
  readonly prunes: PruneEntry[] = [];
  readonly resumes: ResumeEntry[] = [];
  last: WrittenEntry | undefined;
  rows = 0;
  sealedTo: { at: string; to: string } | null = null;
  #expected = 1;
  #previous: string | undefined = NOTHING;
  #to: string | undefined = BEFORE_ALL;

  constructor(report: (fault: Fault) => void) {
    this.#report = report;
  }

  take(number: number, read: WrittenEntry | Fault): Entry | undefined {
    if (number !== this.#expected) {
      const range = number - this.#expected > 1 ? `s ${this.#expected} to ${number - 1} are` : ` ${this.#expected} is`;
      this.#report({ kind: 'removed', entry: this.#expected, message: `Seal${range} gone from the database.` });
      this.#forget();
    }
    this.#expected = number + 1;
    if (isFault(read)) {
      this.#report(read);
      this.#forget();
      this.digests[number - 1] = '';
      return undefined;
    }
    const { entry } = read;
    this.digests[number - 1] = read.sha256;
    if (this.#previous !== undefined && entry.previous !== this.#previous) {
      this.#report({
        kind: 'chain',
        entry: number,
        message: `Seal ${number} does not follow the one that stands before it.`,
      });
    } else if (this.last && this.last.entry.log !== entry.log && entry.kind !== 'resume') {
      this.#report({ kind: 'chain', entry: number, message: `Seal ${number} belongs to another log.` });
    }
    this.#previous = read.sha256;
    this.last = read;
    this.logs.add(entry.log);
    if (entry.kind === 'batch') this.#batch(entry);
    if (entry.kind === 'prune') this.prunes.push(entry);
    if (entry.kind === 'resume') this.resumes.push(entry);
    return entry;
  }

  #batch(entry: Entry & { kind: 'batch' }): void {
    if (this.#to !== undefined && entry.from !== this.#to) {
      const message = `Seal ${entry.number} begins at ${entry.from}, but the one before ended at ${this.#to}.`;
      this.#report({ kind: 'chain', entry: entry.number, message });
    }
    this.#to = entry.to;
    this.rows += entry.rows;
    this.sealedTo = { at: entry.at, to: entry.to };
  }

  #forget(): void {
    this.#previous = undefined;
    this.#to = undefined;
  }
}

/** The chains whose list of scrubbed rows is the one that was signed. */
async function checkLists(client: pg.Client, entry: RedactionEntry, report: (fault: Fault) => void): Promise<number[]> {
  const { rows } = await client.query<{ chain: number; seq: string; sealed: string; rest: string }>(
    `select chain, seq::text, encode(sealed, 'hex') as sealed, encode(rest, 'hex') as rest
       from holdfast.seal_redactions r where entry = $1 order by chain, r.seq`,
    [entry.number],
  );
  const good: number[] = [];
  for (const chain of new Set([...rows.map((r) => r.chain), ...entry.lists.map((l) => l.chain)])) {
    const own = rows.filter((r) => r.chain === chain);
    const signed = entry.lists.find((l) => l.chain === chain);
    if (signed && own.length === signed.rows && redactionDigest(own) === signed.sha256) {
      good.push(chain);
      continue;
    }
    const message = `The list of rows scrubbed under seal ${entry.number} in chain ${chain} is not the one that was signed.`;
    report({ kind: 'redaction', entry: entry.number, message });
  }
  return good;
}
