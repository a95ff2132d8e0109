/** Reads segments out of the database and checks each: form, place in its chain, leaves. */
import type pg from 'pg';
import { canonicalJson } from '../../snapshot/canonical.ts';
import type { ChainWalk } from './chainWalk.ts';
import { leavesDigest, segmentDigest } from './entry.ts';
import type { EntryLog } from './entryLog.ts';
import type { SealedSegment } from './rowChecker.ts';
import type { SealRules } from './rules.ts';
import { readRules } from './rules.ts';
import { LEAF_BYTES } from './segments.ts';
import type { Entry, Fault, SegmentHeader } from './types.ts';

export interface StoredSegment extends SealedSegment {
  readonly text: string;
}

/** Those of the entries `from` to `to`, in the order that they were sealed in. */
export async function storedSegments(
  client: pg.Client,
  from: number,
  to: number,
  report: (fault: Fault) => void,
): Promise<StoredSegment[]> {
  const { rows } = await client.query<{
    number: string;
    entry: string;
    tenant: string | null;
    header: string;
    leaves: Buffer;
    salts: Buffer | null;
  }>(
    `select s.number::text, s.entry::text, s.tenant, s.header, s.leaves, t.salts from holdfast.seal_segments s
       left join holdfast.seal_salts t using (chain, number)
      where s.entry between $1 and $2 order by s.entry, s.chain, s.number`,
    [from, to],
  );
  const rules = new Map<string, SealRules | undefined>();
  const segments: StoredSegment[] = [];
  for (const row of rows) {
    const header = parseHeader(row.header);
    if (!header || String(header.entry) !== row.entry) {
      const message = `Segment ${row.number} of ${row.tenant ?? 'no tenant'} was edited: its header is not one.`;
      report({ kind: 'malformed', message, tenant: row.tenant, entry: Number(row.entry), segment: Number(row.number) });
      continue;
    }
    if (!rules.has(header.rules)) {
      const found = await readRules(client, header.rules);
      rules.set(header.rules, found);
      if (!found)
        report({ kind: 'edited', entry: header.entry, message: `The rules ${header.rules} are gone or were edited.` });
    }
    segments.push({
      header,
      text: row.header,
      leaves: row.leaves,
      salts: row.salts ?? undefined,
      rules: rules.get(header.rules),
    });
  }
  return segments;
}

export function parseHeader(text: string): SegmentHeader | undefined {
  try {
    const header = JSON.parse(text) as SegmentHeader;
    const sound =
      canonicalJson(header) === text &&
      [header.chain, header.number, header.entry, header.count].every((n) => Number.isSafeInteger(n) && n > 0);
    return sound ? header : undefined;
  } catch {
    return undefined;
  }
}

/** Checks the segments of one entry: how many there are, and each by itself and in its chain. */
export function checkSegments(
  entry: Entry,
  segments: readonly StoredSegment[],
  walk: ChainWalk,
  report: (fault: Fault) => void,
): void {
  for (const segment of segments) {
    walk.follow(segment.header, segmentDigest(segment.text), report);
    const problem = segmentProblem(segment, entry);
    if (!problem) continue;
    const { tenant, number } = segment.header;
    const message = `Segment ${number} of ${tenant === null ? 'no tenant' : `tenant ${tenant}`} ${problem}.`;
    report({ kind: 'edited', message, tenant, entry: entry.number, segment: number });
  }
  const signed = entry.kind === 'batch' ? entry.segments : 0;
  if (segments.length === signed) return;
  const kind = segments.length < signed ? 'removed' : 'inserted';
  report({
    kind,
    message: `Seal ${entry.number} vouches for ${signed} segments; there are ${segments.length}.`,
    entry: entry.number,
  });
}

/** What is wrong with a segment by itself; undefined: nothing. */
export function segmentProblem({ header, leaves }: StoredSegment, entry?: Entry): string | undefined {
  if (leavesDigest(leaves) !== header.root || leaves.length !== header.count * LEAF_BYTES) {
    return 'does not have the leaves that its header names: leaves were edited, removed, added or put in another order';
  }
  if (!entry) return undefined;
  const fits =
    entry.kind === 'batch' && header.from === entry.from && header.to === entry.to && header.rules === entry.rules;
  return fits ? undefined : `is not of seal ${entry.number}: its bounds are others`;
}

/** Segments at the end of a chain, which no later one misses; the table of chains may still know of them. */
export async function segmentsGone(
  client: pg.Client,
  log: EntryLog,
  walk: ChainWalk,
  report: (fault: Fault) => void,
): Promise<void> {
  const { rows } = await client.query<{ id: number; tenant: string | null; segments: string; head: string }>(
    "select id, tenant, segments::text, encode(head, 'hex') as head from holdfast.seal_chains order by id",
  );
  const { rows: last } = await client.query(
    'select coalesce(max(number), 0)::text as number from holdfast.seal_entries',
  );
  if (Number(last[0].number) !== log.digests.length) return; // sealed since; the next run compares
  for (const { id, tenant, segments, head } of rows) {
    const found = walk.chains[id - 1];
    if (found?.digest === head && found.tenant === tenant) continue;
    const name = tenant === null ? 'the rows without a tenant' : `tenant ${tenant}`;
    const message = `Chain ${id}, of ${name}, ends at segment ${found?.segments ?? 0}; the table of chains says ${segments}, or another head.`;
    report({ kind: 'chain', message, tenant, segment: Number(segments) });
  }
  if (rows.length < walk.chains.length) {
    report({ kind: 'removed', message: `The table of chains has ${rows.length} of ${walk.chains.length} chains.` });
  }
}
