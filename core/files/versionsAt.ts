/** A source that keeps versions knows better than any backup what a file was at a moment, as far back as they reach. */
import type { Moment } from '../moment.ts';
import { entryKey } from './previous.ts';
import type { FileSource, SourceVersion } from './source.ts';
import type { FileAt, SetState } from './stateAt.ts';

/** A file that a row names today, for files that no run has seen. */
export interface NamedFile {
  readonly path: string;
  /** Reference of the person. */
  readonly person: string | null;
}

/** The state, corrected by the versions of the files that it or `named` names. The same when the source keeps none. */
export async function withVersions(
  state: SetState,
  source: FileSource,
  set: string,
  moment: Moment,
  named: readonly NamedFile[],
): Promise<SetState> {
  const owners = new Map<string, NamedFile[]>();
  const know = (file: NamedFile) => {
    const others = owners.get(file.path) ?? [];
    if (!others.some(({ person }) => person === file.person)) owners.set(file.path, [...others, file]);
  };
  for (const file of [...state.files, ...state.lastGood]) know(file);
  for (const file of named) know(file);
  if (owners.size === 0) return state;
  const histories = await source.history(commonPrefix([...owners.keys()]));
  if (!histories) return state;

  const backed = new Map(state.files.map((file) => [entryKey(file.path, file.person), file.from]));
  const corrected = new Map<string, FileAt[]>();
  const gone = new Set<string>();
  for await (const { path, versions } of histories) {
    const persons = owners.get(path);
    const at = persons && versionAt(versions, moment);
    if (!at) continue; // created later, or its versions of that time are gone: the backups' answer stands
    const { version, certain } = at;
    if (version.deleted) gone.add(path);
    else {
      const files = persons.map(({ person }): FileAt => {
        const from = contentOf(backed.get(entryKey(path, person)), version);
        return { set, path, person, size: version.size, from, certain };
      });
      corrected.set(path, files);
    }
  }
  const touched = (file: FileAt) => gone.has(file.path) || corrected.has(file.path);
  return {
    ...state,
    files: [...state.files.filter((f) => !touched(f)), ...[...corrected.values()].flat()].sort((a, b) =>
      a.path < b.path ? -1 : 1,
    ),
    lastGood: state.lastGood.filter((f) => !corrected.has(f.path)),
  };
}

/** The content of a backup is taken where it is that of the version: it is sealed, and its hash is known. */
function contentOf(backed: FileAt['from'] | undefined, version: SourceVersion): FileAt['from'] {
  return backed && 'entry' in backed && backed.entry.token === version.token ? backed : { version };
}

function versionAt(
  newestFirst: readonly SourceVersion[],
  moment: Moment,
): { version: SourceVersion; certain: boolean } | undefined {
  const index = newestFirst.findIndex(({ from }) => from.earliest <= moment);
  const version = newestFirst[index];
  if (!version) return undefined;
  const older = newestFirst[index + 1];
  // Of a version and a deletion of the same second nobody can say which came first, unless one of them is the latest.
  const tie = index > 0 && older?.from.earliest === version.from.earliest && older.deleted !== version.deleted;
  return { version, certain: version.from.latest <= moment && !tie };
}

function commonPrefix(paths: readonly string[]): string {
  const [first = ''] = paths;
  let length = first.length;
  for (const path of paths) {
    while (!path.startsWith(first.slice(0, length))) length--;
  }
  // Half a surrogate pair would be no text.
  return first.slice(0, length).toWellFormed() === first.slice(0, length) ? first.slice(0, length) : '';
}
