/** The port to where an application keeps its users' files: a bucket or a directory. */
import type { Moment } from '../moment.ts';

/** A file as it is now. */
export interface SourceFile {
  /** `/`-separated, as the application's rows name it. */
  readonly path: string;
  readonly size: number;
  /** Changes whenever the content may have changed. */
  readonly token: string;
  /**
   * false: a further change might not show in the token, as in a file that was written an instant ago. Such a file is read again
   * next time.
   */
  readonly settled: boolean;
  /** The content has been what it is since this moment at the latest; undefined when the source cannot say. */
  readonly since?: Moment;
}

/** What belongs to a file beside its bytes, and is given back with them. Shape depends on the source; values are small. */
export type FileAbout = Readonly<Record<string, string>>;

/** One version of a file in a source that keeps them, or the fact that it was deleted. */
export interface SourceVersion {
  readonly id: string;
  readonly size: number;
  readonly deleted: boolean;
  /** It was the current one from a moment in this range, both ends included, until the next version. */
  readonly from: { readonly earliest: Moment; readonly latest: Moment };
  readonly token: string;
}

export interface OpenFile {
  readonly file: SourceFile;
  readonly about: FileAbout;
  /** Ends with HF_FILE_CHANGED when the file did not stay as it was until its last byte. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Every method throws StoreError HF_FILES_SOURCE when the source as a whole cannot be used. */
export interface FileSource {
  /** For messages: `s3://bucket/prefix/` or `directory /srv/uploads`. */
  readonly description: string;
  /** Why a path cannot name a file here, or undefined when it can. */
  problem(path: string): string | undefined;
  /** Every file, in any order, streamed. Copies that restores kept are not among them. */
  list(): AsyncIterable<SourceFile>;
  stat(path: string): Promise<SourceFile | undefined>;
  /**
   * @param token the file must still be what this token says
   * @param version a version that `history` named
   * @throws StoreError HF_FILE_GONE, HF_FILE_CHANGED, HF_FILE_UNREADABLE
   */
  read(path: string, options?: { readonly token?: string; readonly version?: string }): Promise<OpenFile>;
  /**
   * Writes a file as a whole or not at all; an error of `body` leaves what was there.
   * @param over what is there now and is to be replaced; undefined: nothing may be there. The old content is kept as a version
   * of the same path, or under another path, which is returned.
   * @throws StoreError HF_FILE_CONFLICT when something else is there, HF_FILE_UNREADABLE when it cannot be written
   */
  write(
    path: string,
    body: AsyncIterable<Uint8Array>,
    options: { readonly about: FileAbout; readonly over?: SourceFile; readonly stamp: string },
  ): Promise<{ readonly kept?: string }>;
  /** Versions of every file under a prefix, newest first; undefined when the source keeps none. */
  history(prefix: string): Promise<AsyncIterable<{ path: string; versions: SourceVersion[] }> | undefined>;
}

/** Where content goes that a restore replaces and the source keeps no versions of. Never backed up, never overwritten. */
export const KEPT = '.holdfast-kept/';

/** The place of what a restore replaces. A path that would become too long there is known by its SHA-256. */
export function keptPath(path: string, stamp: string, digest: (text: string) => string): string {
  const name = `${KEPT}${stamp}/${path}`;
  return Buffer.byteLength(name) <= 1024 ? name : `${KEPT}${stamp}/${digest(path)}`;
}
