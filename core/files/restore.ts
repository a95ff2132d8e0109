/** Brings back the files that a tenant had at a moment: to where they were, or into a directory. Nothing is ever deleted. */
import type pg from 'pg';
import { logStep } from '../catalog/record.ts';
import type { Context } from '../context.ts';
import { bind } from '../datamap/bind.ts';
import type { BoundMap } from '../datamap/types.ts';
import { HoldfastError, RestoreError } from '../errors.ts';
import { formatMoment } from '../moment.ts';
import type { PersonKey } from '../ports.ts';
import { inParallel } from '../restore/inParallel.ts';
import { SHARED } from '../snapshot/types.ts';
import { connect } from '../sql.ts';
import { openContent } from './content.ts';
import { type OwnerOf, ownersOf } from './ownerKeys.ts';
import { allTenants, checkSet, ownedPaths, pathsOfOthers } from './owners.ts';
import { type PlannedFile, planFiles } from './restorePlan.ts';
import type { FileRestoreOptions, FileRestoreReport, RestoredFile } from './restoreReport.ts';
import type { FileAbout, FileSource } from './source.ts';
import { type FileAt, openStateReader, type SetState, type StateReader, stateAt } from './stateAt.ts';
import type { FileSet, FileSetSetting } from './types.ts';
import { type NamedFile, withVersions } from './versionsAt.ts';

/** A set and where its files go. */
export interface RestoreTarget {
  readonly set: Pick<FileSetSetting, 'name'>;
  readonly target: FileSource;
  /** The set as holdfast.yaml has it, when the files go to where they were: then rows and versions are asked. */
  readonly inPlace?: FileSet;
}

/**
 * @throws RestoreError HF_FILES_NO_RUN, HF_FILE_CONFLICT, HF_FILE_UNKNOWN; IntegrityError; KeyError; StoreError HF_FILES_SOURCE
 */
export async function restoreFiles(
  ctx: Context,
  targets: readonly RestoreTarget[],
  options: FileRestoreOptions,
): Promise<FileRestoreReport> {
  const client = ctx.databaseUrl === undefined ? undefined : await connect(ctx.databaseUrl, 'holdfast-files');
  try {
    const bound = client && (await bind(client, ctx.map));
    const database = client && bound ? { client, bound } : undefined;
    return await new FileRestore(ctx, await openStateReader(ctx), database, options).run(targets);
  } finally {
    await client?.end();
  }
}

type Database = { readonly client: pg.Client; readonly bound: BoundMap };
type Failure = FileRestoreReport['failed'][number];

class FileRestore {
  readonly #ctx: Context;
  readonly #reader: StateReader;
  readonly #database: Database | undefined;
  readonly #options: FileRestoreOptions;
  readonly #notes: string[] = [];

  constructor(ctx: Context, reader: StateReader, database: Database | undefined, options: FileRestoreOptions) {
    this.#ctx = ctx;
    this.#reader = reader;
    this.#database = database;
    this.#options = options;
  }

  async run(targets: readonly RestoreTarget[]): Promise<FileRestoreReport> {
    const { tenant, moment, preview = false, existing = 'refuse' } = this.#options;
    const planned: { target: RestoreTarget; files: PlannedFile[] }[] = [];
    const runs: Record<string, { before: string | null; after: string | null }> = {};
    let erased = 0;
    let lastGood = 0;
    for (const target of targets) {
      const state = await this.#state(target);
      runs[target.set.name] = { before: state.before?.id ?? null, after: state.after?.id ?? null };
      erased += state.erased;
      if (!this.#options.lastGood) lastGood += this.#chosen(state.lastGood).length;
      const wanted = this.#chosen(this.#options.lastGood ? [...state.files, ...state.lastGood] : state.files);
      const how = { contested: await this.#contested(target, wanted), rename: !target.inPlace };
      planned.push({ target, files: await planFiles(this.#ctx.store, target.target, wanted, how) });
    }
    const all = planned.flatMap(({ files }) => files);
    this.#mustKnow(all);
    const inTheWay = all.filter(({ action }) => action === 'replace');
    if (!preview && existing === 'refuse' && inTheWay.length > 0) throw conflict(inTheWay);

    const failed: Failure[] = [];
    const kept = new Map<PlannedFile, string>();
    if (!preview) {
      const entries = all.flatMap(({ file: { from } }) => ('entry' in from ? [from.entry] : []));
      const keys = await ownersOf(this.#reader, tenant, entries);
      const now = formatMoment(this.#ctx.clock.now());
      const stamp = now.replace(/[-:.]/g, '');
      this.#ctx.progress.start('Restoring files', all.length, 'steps');
      for (const { target, files } of planned) {
        await inParallel(files, 4, async (file) => {
          const writes = file.action === 'create' || (file.action === 'replace' && existing === 'replace');
          if (writes) await this.#write(target, file, keys, stamp, { kept, failed });
          this.#ctx.progress.advance(1);
        });
      }
      this.#ctx.progress.done();
      await this.#log(all, failed);
    }
    return {
      ...{ tenant, moment: moment === undefined ? null : formatMoment(moment), preview },
      files: all.map((file) => describe(file, kept.get(file))),
      ...{ failed, lastGood, erased, notes: this.#notes, runs },
    };
  }

  async #state({ set, inPlace }: RestoreTarget): Promise<SetState> {
    const { tenant, moment } = this.#options;
    const state = await stateAt(this.#reader, tenant, set.name, moment);
    if (!inPlace || moment === undefined) return state;
    try {
      return await withVersions(state, inPlace.source, set.name, moment, await this.#named(inPlace));
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== 'HF_FILES_SOURCE') throw error;
      this.#notes.push(`versions of ${inPlace.source.description} cannot be asked: ${error.message}`);
      return state;
    }
  }

  /** What rows name today; files of erased persons are left out. */
  async #named(set: FileSet): Promise<NamedFile[]> {
    if (!this.#database) return [];
    const { client, bound } = this.#database;
    checkSet(bound, set);
    const { tenant } = this.#options;
    const everyone = tenant === SHARED ? await allTenants(client, bound) : [];
    const owned = await ownedPaths(client, bound, set, tenant, everyone);
    const persons = [...new Set(owned.flatMap(({ person }) => (person === null ? [] : [person])))];
    const keys = persons.length > 0 ? await this.#ctx.persons.obtain(tenant, persons) : new Map<string, PersonKey>();
    return owned.flatMap(({ path, person }): NamedFile[] => {
      if (person === null) return [{ path, person }];
      const key = keys.get(person);
      return key ? [{ path, person: key.ref }] : [];
    });
  }

  /** Each path once: what two persons of a tenant own is one file. */
  #chosen(files: readonly FileAt[]): FileAt[] {
    const { paths } = this.#options;
    const wanted = (path: string) =>
      !paths || paths.some((one) => path === one || (one.endsWith('/') && path.startsWith(one)));
    return [...new Map(files.filter(({ path }) => wanted(path)).map((file) => [file.path, file])).values()];
  }

  async #contested({ inPlace }: RestoreTarget, files: readonly FileAt[]): Promise<Set<string>> {
    if (!inPlace || !this.#database) return new Set();
    const { client, bound } = this.#database;
    checkSet(bound, inPlace);
    const paths = files.map(({ path }) => path);
    return pathsOfOthers(client, bound, inPlace, this.#options.tenant, paths);
  }

  #mustKnow(files: readonly PlannedFile[]): void {
    const { paths = [], tenant } = this.#options;
    for (const one of paths) {
      if (files.some(({ file: { path } }) => path === one || (one.endsWith('/') && path.startsWith(one)))) continue;
      throw unknown(one, tenant);
    }
  }

  async #write(
    { target, inPlace }: RestoreTarget,
    planned: PlannedFile,
    ownerOf: OwnerOf,
    stamp: string,
    done: { readonly kept: Map<PlannedFile, string>; readonly failed: Failure[] },
  ): Promise<void> {
    const { file, now } = planned;
    try {
      const { body, about } = await this.#content(file, ownerOf, inPlace);
      // A file's mode and times mean something where it was; elsewhere it is for the one who asked for it.
      const written = await target.write(planned.at, body, {
        about: inPlace ? about : {},
        stamp,
        ...(now ? { over: now } : {}),
      });
      if (written.kept !== undefined) done.kept.set(planned, written.kept);
    } catch (error) {
      if (!(error instanceof HoldfastError) || !OF_ONE_FILE.has(error.code)) throw error;
      done.failed.push({ set: file.set, path: file.path, code: error.code, message: error.message });
    }
  }

  async #content(
    file: FileAt,
    ownerOf: OwnerOf,
    inPlace: FileSet | undefined,
  ): Promise<{ body: AsyncIterable<Uint8Array>; about: FileAbout }> {
    if ('version' in file.from) return inPlace!.source.read(file.path, { version: file.from.version.id });
    const { entry } = file.from;
    const owner = ownerOf(entry);
    if (!owner) throw unknown(file.path, this.#options.tenant);
    return { body: openContent(this.#ctx.store, owner, entry), about: entry.about };
  }

  async #log(files: readonly PlannedFile[], failed: readonly Failure[]): Promise<void> {
    if (!this.#database) return;
    const { tenant, moment } = this.#options;
    const count = (action: PlannedFile['action']) => files.filter((file) => file.action === action).length;
    await logStep(this.#database.client, {
      backup: null,
      tenant,
      step: 'files-restore',
      result: failed.length > 0 ? 'failed' : 'ok',
      detail: {
        moment: moment === undefined ? null : formatMoment(moment),
        ...{ created: count('create'), replaced: count('replace'), failed: failed.length },
      },
    });
  }
}

/** Errors that are of one file: the others are restored. */
const OF_ONE_FILE = new Set([
  'HF_FILE_CONFLICT',
  'HF_FILE_CORRUPT',
  'HF_FILE_UNREADABLE',
  'HF_FILE_GONE',
  'HF_FILE_CHANGED',
  'HF_FILE_UNKNOWN',
  'HF_OBJECT_MISSING',
  'HF_OBJECT_TRUNCATED',
]);

const unknown = (path: string, tenant: string) =>
  new RestoreError('HF_FILE_UNKNOWN', `No backup has a file ${JSON.stringify(path)} of ${tenant} then.`, {
    action: 'See "holdfast files list -t … --target-time …" for those it has; a folder is written with a / at its end.',
    details: { path, tenant },
  });

function describe({ file, at, action, reason }: PlannedFile, kept: string | undefined): RestoredFile {
  const { set, path, size, from, certain } = file;
  return {
    ...{ set, path, size, certain, action },
    from: 'entry' in from ? { run: from.run } : { version: from.version.id },
    ...(at === path ? {} : { at }),
    ...(reason === undefined ? {} : { reason }),
    ...(kept === undefined ? {} : { kept }),
  };
}

function conflict(files: readonly PlannedFile[]): RestoreError {
  const paths = files.map(({ file }) => file.path);
  const others = paths.length > 1 ? `, and ${paths.length - 1} more` : '';
  return new RestoreError(
    'HF_FILE_CONFLICT',
    `Another content is at ${JSON.stringify(paths[0])}${others}; nothing was written.`,
    {
      action: 'See --preview. --force replaces them, and keeps what is there; --skip-existing leaves them.',
      details: { paths: paths.slice(0, 100), count: paths.length },
    },
  );
}
