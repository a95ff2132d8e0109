/** What seals are made of. docs/sealing.md describes the bytes. */
import type { Signature } from '../../ports.ts';

export const SEAL_FORMAT = 'holdfast-seal';
export const SEAL_VERSION = 1;
/** What comes before the first of a chain. */
export const NOTHING = '0'.repeat(64);
/** A snapshot that sees nothing of the trail: where the first batch begins. */
export const BEFORE_ALL = '3:3:';

interface EntryBase {
  readonly format: typeof SEAL_FORMAT;
  readonly version: number;
  /** 32 hex digits: the log that this entry belongs to, and the folder of its anchors. */
  readonly log: string;
  /** Number of the log's first entry: 1, or that of a `resume`. */
  readonly since: number;
  readonly epoch: string;
  /** From 1, without gaps. */
  readonly number: number;
  /** SHA-256 of the entry before, signature included; 64 zeros for the first. */
  readonly previous: string;
  /** UTC. */
  readonly at: string;
  /** How many chains there are after this entry, and the root of the tree over their heads. */
  readonly chains: number;
  readonly heads: string;
  readonly signature: Signature;
}

/** Seals every row that `to` sees and `from` does not. */
export interface BatchEntry extends EntryBase {
  readonly kind: 'batch';
  readonly from: string;
  readonly to: string;
  readonly rows: number;
  readonly segments: number;
  /** Digest of the rules that say which columns stand in the open. */
  readonly rules: string;
}

/** Vouches for rows that were scrubbed, per chain. */
export interface RedactionEntry extends EntryBase {
  readonly kind: 'redaction';
  /** Free text without personal data: a case number. */
  readonly reason: string;
  /** `sha256` is over the chain's lines of `redactionLine`, in the order of seq. */
  readonly lists: readonly { readonly chain: number; readonly rows: number; readonly sha256: string }[];
}

/** Vouches for history that was dropped: every row sealed before this entry with a seq up to `through`, save `except`. */
export interface PruneEntry extends EntryBase {
  readonly kind: 'prune';
  readonly through: string;
  readonly except: readonly string[];
  readonly partitions: readonly string[];
  /** The backup that holds what was dropped. */
  readonly archivedBy: string | null;
}

/** Says that entries of the log before are gone with a part of the database that was lost, and begins a new log. */
export interface ResumeEntry extends EntryBase {
  readonly kind: 'resume';
  readonly reason: string;
  readonly after: { readonly log: string; readonly number: number; readonly sha256: string };
}

export type Entry = BatchEntry | RedactionEntry | PruneEntry | ResumeEntry;
type Loose<T> = T extends unknown ? Omit<T, keyof EntryBase> : never;
/** What each kind adds to what all entries have. */
export type EntryBody = Loose<Entry>;

/** One link of a tenant's chain. */
export interface SegmentHeader {
  readonly chain: number;
  /** null: rows without a tenant. */
  readonly tenant: string | null;
  readonly number: number;
  readonly previous: string;
  /** Number of the entry that vouches for it. */
  readonly entry: number;
  readonly from: string;
  readonly to: string;
  readonly sealedAt: string;
  readonly rules: string;
  readonly count: number;
  readonly first: string;
  readonly last: string;
  /** Digest of the leaves. */
  readonly root: string;
}

export type FaultKind =
  | 'edited'
  | 'removed'
  | 'inserted'
  | 'reordered'
  | 'truncated'
  | 'tail-replaced'
  | 'signature'
  | 'key-unknown'
  | 'chain'
  | 'malformed'
  | 'redaction'
  | 'actor';

/** One thing that is not as it was sealed. */
export interface Fault {
  readonly kind: FaultKind;
  /** A sentence for a person. */
  readonly message: string;
  readonly tenant?: string | null;
  readonly entry?: number;
  readonly segment?: number;
  readonly seq?: string;
  readonly table?: string;
  readonly record?: string;
}
