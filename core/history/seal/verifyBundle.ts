/** Verifies a bundle with nothing but itself and public keys that the reader trusts. */
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { IntegrityError } from '../../errors.ts';
import { type Progress, silentProgress, type Trust } from '../../ports.ts';
import { canonicalJson } from '../../snapshot/canonical.ts';
import { BUNDLE_FORMAT, BUNDLE_VERSION, type BundleHead } from './bundle.ts';
import { isFault, readEntry, segmentDigest } from './entry.ts';
import { rootOf } from './heads.ts';
import { parseLine } from './leaf.ts';
import { splitLines } from './lines.ts';
import { redactionDigest } from './redaction.ts';
import { type Redaction, RowChecker } from './rowChecker.ts';
import { checkedRules } from './rules.ts';
import { parseHeader, segmentProblem } from './segmentReader.ts';
import { LEAF_BYTES, SALT_BYTES } from './segments.ts';
import { type Entry, type Fault, NOTHING, type PruneEntry, type SegmentHeader } from './types.ts';

export interface BundleReport {
  readonly ok: boolean;
  readonly faults: readonly Fault[];
  readonly faultCount: number;
  readonly tenant: string | null;
  readonly segments: number;
  readonly rows: number;
  readonly redacted: number;
  readonly pruned: number;
  readonly sealedAt: string | null;
  readonly head: { readonly number: number; readonly at: string } | null;
}

const FAULTS = 1000;
const CONTEXT_FIELDS = 5;

/** @throws IntegrityError HF_AUDIT_BUNDLE when the folder does not hold a bundle at all */
export async function verifyBundle(
  folder: string,
  trust: Trust,
  progress: Progress = silentProgress,
): Promise<BundleReport> {
  const head = await readHead(folder);
  const faults: Fault[] = [];
  let faultCount = 0;
  const report = (fault: Fault) => {
    faultCount += 1;
    if (faults.length < FAULTS) faults.push(fault);
  };
  const read = await readEntry(canonicalJson(head.entry), head.entry.number, trust);
  if (isFault(read)) report(read);
  const headers = await readHeaders(folder, head, report);
  const notes = await readNotes(folder, head, trust, report);
  const checker = new RowChecker(
    report,
    new Map(Object.entries(head.tables)),
    await readRedactions(folder, head, notes, report),
  );
  await addSegments(folder, head, headers, checker, report);
  progress.start('verifying', head.rows, 'rows');
  for await (const text of linesOf(join(folder, 'rows.tsv'))) {
    let split = -1;
    for (let i = 0; i < CONTEXT_FIELDS; i++) split = text.indexOf('\t', split + 1);
    const [line, context] = [parseLine(text.slice(split + 1)), text.slice(0, split)];
    if (!checker.check(line, context)) checker.unknown(line, context);
    progress.advance(1);
  }
  checker.finish(notes.filter((entry): entry is PruneEntry => entry.kind === 'prune'));
  progress.done();
  return {
    ok: faultCount === 0,
    faults,
    faultCount,
    tenant: head.tenant,
    segments: headers.length,
    rows: checker.rows,
    redacted: checker.redacted,
    pruned: checker.pruned,
    sealedAt: headers.at(-1)?.sealedAt ?? null,
    head: isFault(read) ? null : { number: read.entry.number, at: read.entry.at },
  };
}

async function readHead(folder: string): Promise<BundleHead> {
  try {
    const text = await readFile(join(folder, 'bundle.json'), 'utf8');
    const head = JSON.parse(text) as BundleHead;
    if (head.format !== BUNDLE_FORMAT || !head.entry || !Array.isArray(head.path))
      throw new TypeError(`it is no ${BUNDLE_FORMAT}`);
    if (head.version !== BUNDLE_VERSION) throw new TypeError(`it has version ${head.version}, not ${BUNDLE_VERSION}`);
    return head;
  } catch (cause) {
    throw new IntegrityError('HF_AUDIT_BUNDLE', `There is no bundle in ${folder}: ${(cause as Error).message}.`, {
      cause,
      action: 'Name the folder that "holdfast audit export" wrote, with all its files.',
      details: { folder },
    });
  }
}

/** The chain, link by link, and the way from its end to the signed root. */
async function readHeaders(folder: string, head: BundleHead, report: (fault: Fault) => void): Promise<SegmentHeader[]> {
  const headers: SegmentHeader[] = [];
  let previous = NOTHING;
  const { tenant } = head;
  for await (const text of linesOf(join(folder, 'segments.jsonl'))) {
    const number = headers.length + 1;
    const header = parseHeader(text);
    if (!header || header.chain !== head.chain || header.tenant !== tenant) {
      report({ kind: 'malformed', message: `Segment ${number} is not one of this chain.`, tenant, segment: number });
      if (!header) continue;
    } else if (header.number !== number) {
      const kind = header.number > number ? 'removed' : 'inserted';
      report({
        kind,
        message: `In the place of segment ${number} stands segment ${header.number}.`,
        tenant,
        segment: number,
      });
    } else if (header.previous !== previous) {
      report({
        kind: 'chain',
        message: `Segment ${number - 1} is not the one that segment ${number} follows.`,
        tenant,
        segment: number - 1,
      });
    }
    previous = segmentDigest(text);
    headers.push(header);
  }
  if (rootOf(head.chain, previous, head.path) !== head.entry.heads) {
    const message = `The chain does not end where seal ${head.entry.number} says: segments are missing at its end, or were forged.`;
    report({ kind: 'truncated', message, tenant, segment: headers.length });
  }
  return headers;
}

/** Entries that vouch for redactions and pruning: signed, and of the logs that lead to the newest entry. */
async function readNotes(
  folder: string,
  head: BundleHead,
  trust: Trust,
  report: (fault: Fault) => void,
): Promise<Entry[]> {
  const notes: Entry[] = [];
  for await (const document of linesOf(join(folder, 'entries.jsonl'))) {
    const number = Number(/"number":(\d+)/.exec(document)?.[1] ?? 0);
    const read = await readEntry(document, number, trust);
    if (isFault(read)) report(read);
    else notes.push(read.entry);
  }
  const logs = new Set([head.entry.log]);
  for (const note of [...notes].reverse()) if (note.kind === 'resume' && logs.has(note.log)) logs.add(note.after.log);
  return notes.filter((note) => {
    if (logs.has(note.log)) return true;
    report({ kind: 'chain', message: `Seal ${note.number} belongs to another log.`, entry: note.number });
    return false;
  });
}

async function readRedactions(
  folder: string,
  head: BundleHead,
  notes: readonly Entry[],
  report: (fault: Fault) => void,
): Promise<Map<string, Redaction>> {
  const byEntry = new Map<number, { seq: string; sealed: string; salt: string; rest: string }[]>();
  for await (const text of linesOf(join(folder, 'redactions.tsv'))) {
    const [seq, entry, sealed, salt, rest] = text.split('\t') as [string, string, string, string, string];
    byEntry.set(Number(entry), [...(byEntry.get(Number(entry)) ?? []), { seq, sealed, salt, rest }]);
  }
  const found = new Map<string, Redaction>();
  for (const [number, rows] of [...byEntry].sort(([a], [b]) => a - b)) {
    const note = notes.find((entry) => entry.number === number && entry.kind === 'redaction');
    const list = note?.kind === 'redaction' ? note.lists.find(({ chain }) => chain === head.chain) : undefined;
    const authorised = list !== undefined && list.rows === rows.length && list.sha256 === redactionDigest(rows);
    if (!authorised)
      report({
        kind: 'redaction',
        message: `No signed seal vouches for the rows scrubbed under seal ${number}.`,
        entry: number,
      });
    for (const row of rows) found.set(row.seq, { ...row, authorised });
  }
  return found;
}

async function addSegments(
  folder: string,
  head: BundleHead,
  headers: readonly SegmentHeader[],
  checker: RowChecker,
  report: (fault: Fault) => void,
): Promise<void> {
  const [leaves, salts] = await Promise.all([
    readFile(join(folder, 'leaves.bin')),
    readFile(join(folder, 'salts.bin')),
  ]);
  let at = 0;
  for (const header of headers) {
    const document = Object.hasOwn(head.rules, header.rules) ? head.rules[header.rules]! : '';
    const segment = {
      header,
      text: '',
      leaves: leaves.subarray(at * LEAF_BYTES, (at + header.count) * LEAF_BYTES),
      salts: salts.subarray(at * SALT_BYTES, (at + header.count) * SALT_BYTES),
      rules: checkedRules(document, header.rules),
    };
    at += header.count;
    const problem = segment.rules ? segmentProblem(segment) : 'names rules that are not in the bundle';
    const about = { tenant: header.tenant, segment: header.number, entry: header.entry };
    if (problem) report({ kind: 'edited', message: `Segment ${header.number} ${problem}.`, ...about });
    checker.add(segment);
  }
}

async function* linesOf(path: string): AsyncIterable<string> {
  for await (const lines of splitLines(createReadStream(path))) yield* lines;
}
