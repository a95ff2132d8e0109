/** The sets of files of holdfast.yaml, with their sources opened. */

import { didYouMean } from '../core/datamap/suggest.ts';
import { ConfigError } from '../core/errors.ts';
import { noSets } from '../core/files/backup.ts';
import type { FileSource } from '../core/files/source.ts';
import type { FileSet, FileSetSetting } from '../core/files/types.ts';

/** `s3://bucket/prefix?endpoint=…&region=…`, else a directory. The AWS SDK is loaded only when it is used. */
export async function openFileSource(location: string): Promise<FileSource> {
  if (location.startsWith('s3://')) return (await import('../adapters/aws/s3Files.ts')).S3Files.open(location);
  return (await import('../adapters/local/directoryFiles.ts')).DirectoryFiles.open(location);
}

export const openFileSets = (settings: readonly FileSetSetting[]): Promise<FileSet[]> =>
  Promise.all(settings.map(async (set) => ({ ...set, source: await openFileSource(set.from) })));

/** All, or the named one. @throws ConfigError HF_FILES_NONE, HF_FILE_SET_UNKNOWN */
export function chooseSets(settings: readonly FileSetSetting[], name: string | undefined): readonly FileSetSetting[] {
  if (settings.length === 0) throw noSets();
  if (name === undefined) return settings;
  const names = settings.map((set) => set.name);
  const found = settings.filter((set) => set.name === name);
  if (found.length > 0) return found;
  throw new ConfigError('HF_FILE_SET_UNKNOWN', `holdfast.yaml names no files "${name}".`, {
    action: `Give one of ${names.join(', ')}.${didYouMean(name, names)}`,
    details: { set: name, sets: names },
  });
}
