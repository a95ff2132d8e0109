/** What a run found: figures for its manifest, and examples for a person. Paths are in no manifest: they may tell of somebody. */
import type { SourceFile } from './source.ts';
import type { FileEntry, FileTotals } from './types.ts';

/** This many of each kind are kept; the totals count them all. */
const EXAMPLES = 1000;

export interface FoundFile {
  readonly set: string;
  readonly tenant: string;
  readonly path: string;
}

export interface FileFindings {
  /** Rows whose file is not there. `lastGood`: an older content is in the backups. */
  readonly missing: readonly (FoundFile & { readonly lastGood: boolean })[];
  readonly unread: readonly (FoundFile & {
    readonly code: string;
    readonly message: string;
    readonly lastGood: boolean;
  })[];
  /** Files that no row names: they belong to nobody, so they are not backed up. */
  readonly unowned: readonly { readonly set: string; readonly path: string; readonly size: number }[];
  /** Files that rows of two tenants name: backed up for each, and restored in place for neither. */
  readonly contested: readonly (FoundFile & { readonly other: string })[];
  /** Values that cannot be the name of a file there. */
  readonly badNames: readonly (FoundFile & { readonly reason: string })[];
  /** Listings of earlier runs that could not be used: what stood in them was read again. */
  readonly relisted: readonly { readonly object: string; readonly code: string }[];
}

type Changing<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer U)[] ? U[] : T[K] };

const NONE: FileTotals = {
  ...{ files: 0, bytes: 0, read: 0, stored: 0, storedBytes: 0 },
  ...{ gone: 0, unread: 0, unowned: 0, erased: 0 },
};

/** What several processes have found together. */
export function sumOf(totals: readonly FileTotals[]): FileTotals {
  const names = Object.keys(NONE) as (keyof FileTotals)[];
  return Object.fromEntries(
    names.map((name) => [name, totals.reduce((sum, own) => sum + own[name], 0)]),
  ) as unknown as FileTotals;
}

export class Findings {
  readonly #totals: Changing<FileTotals> = { ...NONE };
  readonly #found: Changing<FileFindings> = {
    ...{ missing: [], unread: [], unowned: [], contested: [], badNames: [], relisted: [] },
  };

  entry({ size }: FileEntry): void {
    this.#totals.files++;
    this.#totals.bytes += size;
  }

  read(storedBytes: number): void {
    this.#totals.read++;
    if (storedBytes === 0) return;
    this.#totals.stored++;
    this.#totals.storedBytes += storedBytes;
  }

  missing(file: FoundFile, lastGood: boolean): void {
    this.#totals.gone++;
    note(this.#found.missing, { ...file, lastGood });
  }

  unread(file: FoundFile, error: { readonly code: string; readonly message: string }, lastGood: boolean): void {
    this.#totals.unread++;
    note(this.#found.unread, { ...file, code: error.code, message: error.message, lastGood });
  }

  unowned(set: string, { path, size }: SourceFile): void {
    this.#totals.unowned++;
    note(this.#found.unowned, { set, path, size });
  }

  contested(file: FoundFile, other: string): void {
    note(this.#found.contested, { ...file, other });
  }

  badName(file: FoundFile, reason: string): void {
    this.#totals.unread++;
    note(this.#found.badNames, { ...file, reason });
  }

  erased(): void {
    this.#totals.erased++;
  }

  report(): FileFindings & { readonly totals: FileTotals } {
    return { ...this.#found, totals: this.#totals };
  }
}

function note<T>(list: T[], item: T): void {
  if (list.length < EXAMPLES) list.push(item);
}
