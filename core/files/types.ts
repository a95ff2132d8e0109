/** Files that belong to tenants and persons, as holdfast.yaml declares them and as backups hold them. */
import type { TableName } from '../datamap/types.ts';
import type { Signature } from '../ports.ts';
import type { FileSource } from './source.ts';

/** One entry of `files:` in holdfast.yaml. */
export interface FileSetSetting {
  /** Name of the set, e.g. `recordings`. */
  readonly name: string;
  /** A directory, or `s3://bucket/prefix`. */
  readonly from: string;
  /** Its rows name the files; tenant and person of a file are those of its row. */
  readonly table: TableName;
  /** The column with the path. NULL: the row has no file. */
  readonly column: string;
  /** Taken off the front of the column's value; rows whose value does not begin so name files of another set. @default '' */
  readonly strip: string;
}

/** The same with its source opened. */
export interface FileSet extends FileSetSetting {
  readonly source: FileSource;
}

export const FILES_FORMAT = 'holdfast-files';
export const FILES_VERSION = 1;

/**
 * present: it was there, and this is its content. gone: its row is there, the file is not; the content is what it had when it was last
 * seen. unread: it is there, but could not be read; the content is an older one.
 */
export type FileState = 'present' | 'gone' | 'unread';

/** A file in one run of a backup. */
export interface FileEntry {
  readonly set: string;
  /** Object in the store that holds the content. */
  readonly content: string;
  /** Size of that object. */
  readonly stored: number;
  /** Reference of the person whose key seals it; null: it belongs to no person. */
  readonly person: string | null;
  /** Number of the tenant key that seals it instead, where there is no person. */
  readonly tenantKey: string | null;
  readonly path: string;
  /** Bytes of the content. */
  readonly size: number;
  /** SHA-256 of the content, hex. */
  readonly sha256: string;
  /** As `SourceFile.token` when it was read; empty when it was not settled. */
  readonly token: string;
  /** The content has been what it is since then at the latest. UTC, ISO 8601. */
  readonly since: string;
  readonly state: FileState;
  /** As `FileAbout`. */
  readonly about: Readonly<Record<string, string>>;
}

/** Which of a tenant's files: those whose path hashes to `number`, of `of`, a power of two. */
export interface Part {
  readonly number: number;
  readonly of: number;
}

/** A listing of files of one tenant and set: one slab in one object. */
export interface FilePage {
  readonly set: string;
  readonly object: string;
  /** Number of the tenant key that seals it. */
  readonly tenantKey: string;
  readonly length: number;
  /** hex, of the object */
  readonly sha256: string;
  readonly files: number;
  /** Of a tenant with very many files: of which of them. */
  readonly part?: Part;
}

/** One signed document per run, written last. */
export interface FileManifest {
  readonly format: typeof FILES_FORMAT;
  readonly version: number;
  /** `20261121T085752123Z-files-9f3ac1`: sorts by time. */
  readonly id: string;
  readonly store: string;
  /** null: every tenant, and files of no tenant. */
  readonly tenant: string | null;
  readonly startedAt: string;
  /** Every file was looked at between these two. */
  readonly finishedAt: string;
  readonly sets: Readonly<Record<string, { readonly source: string; readonly table: string; readonly column: string }>>;
  readonly tenants: Readonly<Record<string, readonly FilePage[]>>;
  readonly totals: FileTotals;
  readonly signature: Signature;
}

export interface FileTotals {
  /** Files that can be restored from this run. */
  readonly files: number;
  /** Bytes of their contents. */
  readonly bytes: number;
  /** Files that were read; the rest was known from the run before, or from an attempt at this one that was cut short. */
  readonly read: number;
  /** Contents that were new, and their bytes as stored. */
  readonly stored: number;
  readonly storedBytes: number;
  /** Rows whose file is not there. */
  readonly gone: number;
  /** Files that could not be read, or kept changing. */
  readonly unread: number;
  /** Files in the source that no row names; 0 where the run had no reason to list the whole source. */
  readonly unowned: number;
  /** Files of erased persons: never stored. */
  readonly erased: number;
}
