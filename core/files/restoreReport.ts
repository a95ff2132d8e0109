/** What a restore of files is asked for, and what it says that it did. */
import type { Moment } from '../moment.ts';
import type { FileAction } from './restorePlan.ts';

export interface FileRestoreOptions {
  readonly tenant: string;
  /** @default the newest run */
  readonly moment?: Moment;
  /** Only paths that are one of these, or lie in one that ends with `/`. @default all */
  readonly paths?: readonly string[];
  /** Also the last content seen of files that were gone or unreadable at that moment. @default false */
  readonly lastGood?: boolean;
  /**
   * What happens where another content is: refuse the whole restore, leave those files, or replace them. What is replaced stays as a
   * version, or beside. @default 'refuse'
   */
  readonly existing?: 'refuse' | 'skip' | 'replace';
  readonly preview?: boolean;
}

export interface RestoredFile {
  readonly set: string;
  readonly path: string;
  readonly size: number;
  /** The run that holds the content, or a version of the source. */
  readonly from: { readonly run: string } | { readonly version: string };
  readonly certain: boolean;
  readonly action: FileAction;
  /** Where it went, when the target cannot have a file of that path. */
  readonly at?: string;
  readonly reason?: string;
  /** Where the content that was replaced is, in a source without versions. */
  readonly kept?: string;
}

export interface FileRestoreReport {
  readonly tenant: string;
  readonly moment: string | null;
  readonly preview: boolean;
  readonly files: readonly RestoredFile[];
  /** Files that could not be written, or whose content turned out to be damaged; what was there is untouched. */
  readonly failed: readonly {
    readonly set: string;
    readonly path: string;
    readonly code: string;
    readonly message: string;
  }[];
  /** Files that were gone or unreadable then, with an older content at hand, and that were not asked for. */
  readonly lastGood: number;
  /** Files of persons who were erased. */
  readonly erased: number;
  /** Versions of the source could not be asked; the answer is that of the backups. */
  readonly notes: readonly string[];
  readonly runs: Readonly<Record<string, { readonly before: string | null; readonly after: string | null }>>;
}
