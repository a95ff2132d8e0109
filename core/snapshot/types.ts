/**
 * The backup format as types; docs/backup-format.md is the same for other implementers. A backup is a set of immutable
 * objects and one signed manifest, written last. An object is a sequence of slabs; a slab holds rows of one tenant.
 */
import type { Signature } from '../ports.ts';

export const FORMAT = 'holdfast-backup';
export const FORMAT_VERSION = 1;

/** Stands for rows that belong to no tenant: shared tables, and rows whose tenant is null. */
export const SHARED = '_shared';

export type BackupType = 'full' | 'incremental' | 'differential' | 'transaction_log';

/** One signed JSON document per backup. Unknown fields are kept and signed; an unknown `version` is refused. */
export interface Manifest {
  readonly format: typeof FORMAT;
  readonly version: number;
  /** Sortable by time: `20261121T085752Z-full-9f3ac1`. */
  readonly id: string;
  /** Id of the store it was written to; a manifest copied into another store is foreign unless imported. */
  readonly store: string;
  /** The life of the database (`holdfast.installation.epoch`); snapshots compare only within one. */
  readonly epoch: string;
  readonly server: { readonly version: number; readonly database: string };
  /** null: the whole database, that is every tenant and the shared rows. */
  readonly tenant: string | null;
  readonly type: BackupType;
  /** The full (for a differential), or the backup of any kind (for incremental and log), that its log continues; null for a first full. */
  readonly parent: string | null;
  readonly startedAt: string;
  readonly finishedAt: string;
  /** The latest moment that this backup, with its parents, restores to. */
  readonly horizon: string;
  /**
   * Which changes its log holds: those that `to` sees and `from` does not. For the first full `from` is the snapshot taken
   * before its first chunk was read. A full's log also reaches back to the previous backup, so that no moment is lost between.
   */
  readonly log: { readonly from: string; readonly to: string; readonly fromMoment: string; readonly toMoment: string };
  /**
   * A full's chunks are consistent from here on: the state at T >= `consistentFrom` is the chunks plus every logged change
   * committed after `log.from` and by T. Absent when the backup has no chunks.
   */
  readonly consistentFrom?: string;
  /** A full that was folded from these backups, base first, and not read from the database. */
  readonly synthetic?: readonly string[];
  readonly tables: readonly ManifestTable[];
  /** Protected tables that were left out on request. */
  readonly excluded: readonly string[];
  /** Tenant -> its backup key, wrapped by its tenant key. Includes `_shared` where there are such rows. */
  readonly keys: Readonly<Record<string, { readonly tenantKey: string; readonly wrapped: string }>>;
  readonly objects: readonly ManifestObject[];
  readonly totals: {
    readonly rows: number;
    readonly changes: number;
    readonly rawBytes: number;
    readonly bytes: number;
  };
  /** Over the canonical JSON (keys sorted, no white space) of everything else. */
  readonly signature: Signature;
}

export interface ManifestTable {
  readonly name: string;
  readonly id: number;
  readonly version: number;
  readonly rows: number;
}

export interface ManifestObject {
  readonly name: string;
  /** chunk: rows. log: changes. schema: the schema record (one slab, sealed for `_shared`). */
  readonly kind: 'chunk' | 'log' | 'schema';
  readonly size: number;
  /** hex */
  readonly sha256: string;
  /** The snapshot a chunk was read in. */
  readonly snapshot?: string;
  readonly slabs: readonly ManifestSlab[];
}

export interface ManifestSlab {
  readonly tenant: string;
  readonly offset: number;
  readonly length: number;
  /** hex, of the slab's bytes as stored: a fault is located without any key */
  readonly sha256: string;
  /** Rows per table in this slab. */
  readonly rows: Readonly<Record<string, number>>;
}

/**
 * Rows of one table inside a slab, in COPY text format. A row is split: `columns` go into the open part, `sealed` into the
 * capsule of the person who owns the row. Rows are grouped by person so that both parts join by position.
 */
export interface Section {
  readonly table: string;
  readonly columns: readonly string[];
  readonly sealed: readonly string[];
  readonly rows: number;
  /** `[person index or -1, row count]`, in row order. -1: no owner; all columns (columns then sealed) stand in the open part. */
  readonly runs: readonly (readonly [number, number])[];
  /** COPY text rows: tab-separated, `\N` for null, newline-terminated. */
  readonly open: Uint8Array;
}

/** What `sealSlab` takes. */
export interface SlabInput {
  readonly backup: string;
  readonly tenant: string;
  /** Object name and ordinal inside it, bound into the encryption so that slabs cannot be swapped. */
  readonly object: string;
  readonly ordinal: number;
  readonly snapshot: string;
  readonly sections: readonly Section[];
  /** Persons whose values are sealed here, in the order that runs index. `parts[i]` belongs to `sections[i]`. */
  readonly persons: readonly { readonly ref: string; readonly key: Buffer; readonly parts: readonly Uint8Array[] }[];
}

/** What `openSlab` gives: sections whose rows are whole again, or lack the sealed columns of persons without a key. */
export interface OpenSection {
  readonly table: string;
  /** `columns` then `sealed`: the order of fields in `rows`. */
  readonly columns: readonly string[];
  readonly rows: number;
  /** COPY text rows of `columns`. Rows of erased persons have `\N` in sealed columns and are listed in `erased`. */
  readonly data: Buffer;
  /** `[first row, count, person ref]` of runs whose person key is gone. */
  readonly erased: readonly (readonly [number, number, string])[];
}
