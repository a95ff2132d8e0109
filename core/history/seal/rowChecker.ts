/**
 * Holds the leaves of some segments against the rows that claim them, whatever order the rows come in, and names what differs.
 * Shared by the verification of a database and of a bundle.
 */
import { commitment, fieldText, type Line, leaf, splitChanges } from './leaf.ts';
import { LeafHasher } from './leafBytes.ts';
import type { LineBatch } from './lineBytes.ts';
import { REDACTED } from './redaction.ts';
import type { SealRules } from './rules.ts';
import { LEAF_BYTES, SALT_BYTES } from './segments.ts';
import { SeqIndex } from './seqIndex.ts';
import type { Fault, FaultKind, PruneEntry, SegmentHeader } from './types.ts';

export interface SealedSegment {
  readonly header: SegmentHeader;
  readonly leaves: Buffer;
  /** Undefined when they went with history that was pruned. */
  readonly salts: Buffer | undefined;
  readonly rules: SealRules | undefined;
}

/** What is known of a row that was scrubbed. Digests in hex. */
export interface Redaction {
  readonly sealed: string;
  readonly salt: string;
  readonly rest: string;
  /** The entry that vouches for it is signed, and its list is whole. */
  readonly authorised: boolean;
}

/** So many suspects are compared with each other to tell a change of order from a change of content. */
const SUSPECTS = 200;

interface Suspect {
  readonly line: Line;
  readonly context: string;
  /** The leaf it claims; undefined: there is none for its seq. */
  readonly at: number | undefined;
}

export class RowChecker {
  readonly #report: (fault: Fault) => void;
  readonly #tables: ReadonlyMap<string, string>;
  readonly #redactions: ReadonlyMap<string, Redaction>;
  readonly #segments: SealedSegment[] = [];
  readonly #first: number[] = [];
  readonly #index = new SeqIndex();
  readonly #hasher = new LeafHasher();
  #seen: Uint8Array = new Uint8Array(0);
  #current = 0;
  #suspects: Suspect[] = [];
  rows = 0;
  redacted = 0;
  pruned = 0;

  constructor(
    report: (fault: Fault) => void,
    tables: ReadonlyMap<string, string>,
    redactions: ReadonlyMap<string, Redaction>,
  ) {
    this.#report = report;
    this.#tables = tables;
    this.#redactions = redactions;
  }

  /** All segments are added before the first row is checked. */
  add(segment: SealedSegment): void {
    const start = this.#index.size;
    this.#segments.push(segment);
    this.#first.push(start);
    const { leaves } = segment;
    for (let offset = 0; offset + LEAF_BYTES <= leaves.length; offset += LEAF_BYTES) {
      this.#index.add(leaves.readUInt32BE(offset), leaves.readUInt32BE(offset + 4));
    }
    this.#seen = new Uint8Array(this.#index.size);
  }

  /** A line as it came over the wire. False: it could not be told to be right, and `check` must look at it. */
  isSealed(batch: LineBatch, line: number, context: Uint8Array): boolean {
    const at = this.#index.find(batch.seq(line));
    if (at < 0 || this.#seen[at] || this.#redactions.size > 0) return false;
    const segment = this.#segmentOf(at);
    if (!segment.salts || !segment.rules) return false;
    const place = this.#offset(segment, at);
    const open = segment.rules.openBytes(batch.table(line));
    const found = this.#hasher.leafOf(batch, line, segment.salts, place * SALT_BYTES, context, open);
    if (found === undefined || !isAt(segment.leaves, place * LEAF_BYTES + 8, found)) return false;
    this.#seen[at] = 1;
    this.rows += 1;
    return true;
  }

  /** False when no leaf has this seq. */
  check(line: Line, context: string): boolean {
    const at = this.#index.find(Number(line.seq));
    if (at < 0) return false;
    if (this.#seen[at]) {
      this.#fault('inserted', line, at, 'stands twice in the trail');
      return true;
    }
    this.#seen[at] = 1;
    this.rows += 1;
    const segment = this.#segmentOf(at);
    const redaction = this.#redactions.size > 0 ? this.#redactions.get(line.seq) : undefined;
    if (redaction) this.#checkRedacted(line, context, at, redaction);
    else if (this.#leafAt(segment, at) !== leafOf(segment, line, this.#saltAt(segment, at), context)) {
      this.#suspects.push({ line, context, at });
    }
    return true;
  }

  /** A row that by its transaction was sealed in these segments, but that none of them has. */
  unknown(line: Line, context: string): void {
    this.#suspects.push({ line, context, at: undefined });
  }

  /** Names rows that differ, and those that are gone without a signed note of pruning. */
  finish(prunes: readonly PruneEntry[]): void {
    const missing = this.#missing(prunes);
    const moved = this.#moved(missing);
    for (const suspect of this.#suspects) {
      const { line, at } = suspect;
      const from = moved.get(suspect);
      if (from !== undefined) {
        const was = this.#seqAt(from);
        this.#fault('reordered', line, at ?? from, `was sealed as change ${was}: the order was altered`);
      } else if (at === undefined) {
        this.#fault('inserted', line, at, 'was not there when its transaction was sealed');
      } else if (line.changes.includes(REDACTED)) {
        this.#fault('redaction', line, at, 'was blanked, or altered after it was, with no signed redaction');
      } else {
        this.#fault('edited', line, at, 'or the context of its actor is not what was sealed');
      }
    }
    const explained = new Set(moved.values());
    for (const at of missing) {
      if (explained.has(at)) continue;
      const { header } = this.#segmentOf(at);
      const seq = this.#seqAt(at);
      this.#report({
        kind: 'removed',
        message: `Change ${seq} of ${who(header.tenant)} is gone from the trail; it was sealed in segment ${header.number}.`,
        tenant: header.tenant,
        entry: header.entry,
        segment: header.number,
        seq,
      });
    }
  }

  #missing(prunes: readonly PruneEntry[]): number[] {
    const missing: number[] = [];
    const lawful = prunes.map((p) => ({ number: p.number, through: BigInt(p.through), except: new Set(p.except) }));
    for (let at = 0; at < this.#seen.length; at++) {
      if (this.#seen[at]) continue;
      const { header } = this.#segmentOf(at);
      const seq = this.#seqAt(at);
      const pruned = lawful.some((p) => p.number > header.entry && BigInt(seq) <= p.through && !p.except.has(seq));
      if (pruned) this.pruned += 1;
      else missing.push(at);
    }
    return missing;
  }

  /** Suspects whose content is that of another leaf: they stand in the wrong place. */
  #moved(missing: readonly number[]): Map<Suspect, number> {
    const places = [...this.#suspects.flatMap(({ at }) => at ?? []), ...missing].slice(0, SUSPECTS);
    const moved = new Map<Suspect, number>();
    for (const suspect of this.#suspects.slice(0, SUSPECTS)) {
      const { line, context } = suspect;
      const rest = line.open.slice(line.seq.length);
      const from = places.find((at) => {
        if (at === suspect.at) return false;
        const segment = this.#segmentOf(at);
        const there = { ...line, open: this.#seqAt(at) + rest };
        return leafOf(segment, there, this.#saltAt(segment, at), context) === this.#leafAt(segment, at);
      });
      if (from !== undefined) moved.set(suspect, from);
    }
    return moved;
  }

  #checkRedacted(line: Line, context: string, at: number, redaction: Redaction): void {
    this.redacted += 1;
    const segment = this.#segmentOf(at);
    const split = splitChanges(line.changes, segment.rules?.open(line.table));
    if (!redaction.authorised) {
      this.#fault('redaction', line, at, 'was blanked, and no signed seal vouches for it');
    } else if (
      commitment(line, redaction.salt, context, split) !== redaction.rest ||
      leaf(line, redaction.sealed, split) !== this.#leafAt(segment, at)
    ) {
      this.#fault('edited', line, at, 'is not what was left when it was lawfully scrubbed');
    }
  }

  #segmentOf(at: number): SealedSegment {
    // Rows come nearly in the order that they were sealed in, so it is mostly the same segment as for the row before.
    const inside = (i: number) => at >= this.#first[i]! && at < (this.#first[i + 1] ?? this.#seen.length);
    if (!inside(this.#current)) {
      let [low, high] = [0, this.#first.length - 1];
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (this.#first[middle]! <= at) low = middle;
        else high = middle - 1;
      }
      this.#current = low;
    }
    return this.#segments[this.#current]!;
  }

  #offset(segment: SealedSegment, at: number): number {
    return (
      at - this.#first[this.#segments[this.#current] === segment ? this.#current : this.#segments.indexOf(segment)]!
    );
  }

  #leafAt(segment: SealedSegment, at: number): string {
    const offset = this.#offset(segment, at) * LEAF_BYTES;
    return segment.leaves.toString('hex', offset + 8, offset + LEAF_BYTES);
  }

  #saltAt(segment: SealedSegment, at: number): string {
    const offset = this.#offset(segment, at) * SALT_BYTES;
    return segment.salts?.toString('hex', offset, offset + SALT_BYTES) ?? '';
  }

  #seqAt(at: number): string {
    const segment = this.#segmentOf(at);
    return segment.leaves.readBigUInt64BE(this.#offset(segment, at) * LEAF_BYTES).toString();
  }

  #fault(kind: FaultKind, line: Line, at: number | undefined, what: string): void {
    const table = this.#tables.get(line.table) ?? `table ${line.table}`;
    const record = fieldText(line.record);
    const organization = fieldText(line.organization);
    const header = at === undefined ? undefined : this.#segmentOf(at).header;
    const row = `Change ${line.seq} (${table}${record === null ? '' : ` ${record}`}, ${who(organization)})`;
    this.#report({
      kind,
      message: `${row} ${what}.`,
      tenant: header ? header.tenant : organization,
      ...(header && { entry: header.entry, segment: header.number }),
      seq: line.seq,
      table,
      ...(record !== null && { record }),
    });
  }
}

function leafOf(segment: SealedSegment, line: Line, salt: string, context: string): string {
  const split = splitChanges(line.changes, segment.rules?.open(line.table));
  return leaf(line, commitment(line, salt, context, split), split);
}

function isAt(bytes: Buffer, start: number, digest: string): boolean {
  for (let i = 0; i < digest.length; i++) if (bytes[start + i] !== digest.charCodeAt(i)) return false;
  return true;
}

const who = (tenant: string | null): string => (tenant === null ? 'no tenant' : `tenant ${tenant}`);
