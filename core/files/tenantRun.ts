/** The files of one tenant in one set, or a part of them: which are as they were, which are read, and the pages that list them. */
import { createHash } from 'node:crypto';
import type { Context } from '../context.ts';
import { HoldfastError, StoreError } from '../errors.ts';
import type { PersonKey } from '../ports.ts';
import { inParallel } from '../restore/inParallel.ts';
import type { Keyring } from '../snapshot/keyring.ts';
import type { Budget } from './budget.ts';
import type { Owner } from './content.ts';
import type { Findings } from './findings.ts';
import { contentSubkey } from './ownerKeys.ts';
import type { OwnedPath } from './owners.ts';
import { writePage } from './page.ts';
import { entryKey, type KnownFiles } from './previous.ts';
import type { Share } from './shares.ts';
import type { FileSource, SourceFile } from './source.ts';
import type { SourceIndex } from './sourceIndex.ts';
import { memoryFor, takeFile } from './take.ts';
import type { FileEntry, FilePage, FileSet } from './types.ts';

/** Files of a page that wait for their turn in the budget. */
const AT_ONCE = 16;
/** A page holds about so many files, or about so many bytes of them, whichever is less. */
const PAGE_FILES = 1024;
const PAGE_BYTES = 256 << 20;
/** Never more than this, whatever the names are. */
const PAGE_LIMIT = 8192;

/** Errors of one file, which must not keep all others from being backed up. */
const OF_ONE_FILE = new Set(['HF_FILE_GONE', 'HF_FILE_CHANGED', 'HF_FILE_TOO_LARGE', 'HF_FILE_UNREADABLE']);

export interface TenantRunOptions {
  readonly ctx: Context;
  readonly keyring: Keyring;
  readonly set: FileSet;
  readonly share: Share;
  readonly run: string;
  /** Without one, the source is asked for each file. */
  readonly index: SourceIndex | undefined;
  readonly findings: Findings;
  readonly budget: Budget;
  readonly reread: boolean;
  readonly known: KnownFiles;
  /** After a page is durable. `bytes`: contents that were read for it. */
  readonly onPage: (page: FilePage, bytes: number) => Promise<void>;
  /** A name for the next page. */
  readonly nextPage: () => string;
  /** Whether there is no time any more to read so many bytes. @default there always is */
  readonly stop?: ((bytes: number) => boolean) | undefined;
  /** Bytes; a larger file is not read, but told of as one that cannot be. @default none is too large */
  readonly largest?: number | undefined;
}

interface Wanted {
  readonly path: string;
  readonly person: PersonKey | null;
  readonly file: SourceFile | undefined;
  readonly known: FileEntry | undefined;
}

export class TenantRun {
  readonly #o: TenantRunOptions;

  constructor(options: TenantRunOptions) {
    this.#o = options;
  }

  /** @returns the pages: new ones, and those that still hold; undefined when it was stopped before all were made */
  async back(owned: readonly OwnedPath[]): Promise<FilePage[] | undefined> {
    const wanted = await this.#wanted(owned);
    const pages: FilePage[] = [];
    for (const part of cutPages(wanted)) {
      if (this.#o.stop?.(this.#toRead(part))) return undefined;
      const page = await this.#page(part);
      if (page) pages.push(page);
    }
    return pages;
  }

  #toRead(wanted: readonly Wanted[]): number {
    const { largest = Number.POSITIVE_INFINITY } = this.#o;
    const sizes = wanted.map((one) => (one.file && !this.#unchanged(one) ? one.file.size : 0));
    return sizes.reduce((sum, size) => sum + (size > largest ? 0 : size), 0);
  }

  #unchanged({ file, known }: Wanted): boolean {
    return known?.state === 'present' && known.token === file?.token && !this.#o.reread;
  }

  /** Rows with what the source and the run before say of their files. */
  async #wanted(owned: readonly OwnedPath[]): Promise<Wanted[]> {
    const { ctx, set, known, findings } = this.#o;
    const { tenant } = this.#o.share;
    const persons = [...new Set(owned.flatMap(({ person }) => (person === null ? [] : [person])))];
    const keys = persons.length > 0 ? await ctx.persons.obtain(tenant, persons) : new Map<string, PersonKey>();
    const sound = owned.filter(({ path, person }) => {
      const reason = set.source.problem(path);
      if (reason !== undefined) findings.badName({ set: set.name, tenant, path }, reason);
      else if (person !== null && !keys.has(person)) findings.erased();
      else return true;
      return false;
    });
    return inParallel(sound, AT_ONCE, async ({ path, person }): Promise<Wanted> => {
      const key = person === null ? null : keys.get(person)!;
      return {
        path,
        person: key,
        file: await this.#find(path),
        known: known.entries.get(entryKey(path, key?.ref ?? null)),
      };
    });
  }

  async #find(path: string): Promise<SourceFile | undefined> {
    const { index, set, findings } = this.#o;
    const { tenant } = this.#o.share;
    const found = index?.claim(path, tenant);
    if (found?.other !== undefined) findings.contested({ set: set.name, tenant, path }, found.other);
    // A file that came after the listing has a row already: it is not missing.
    return found?.file ?? set.source.stat(path);
  }

  async #page(wanted: readonly Wanted[]): Promise<FilePage | undefined> {
    const { ctx, keyring, set, run, known, findings, onPage } = this.#o;
    const { tenant, part } = this.#o.share;
    let bytes = 0;
    const made = await inParallel(wanted, AT_ONCE, async (one) => {
      const { entry, read } = await this.#entry(one);
      bytes += read;
      if (entry) findings.entry(entry);
      ctx.progress.advance(1);
      return entry;
    });
    const entries = made.filter((entry) => entry !== undefined);
    if (entries.length === 0) return undefined;
    const same = known.pageOf.get(entries[0]!);
    if (same?.files === entries.length && entries.every((e) => known.pageOf.get(e) === same)) return same;
    const persons = new Map(wanted.flatMap(({ person }) => (person ? [[person.ref, person]] : [])));
    const about = { tenant, set: set.name, object: this.#o.nextPage(), at: run, part };
    const page = await writePage({ store: ctx.store, keyring }, about, entries, persons);
    await onPage(page, bytes);
    return page;
  }

  /** The file's entry: as it was, as it is now, or the last good one of a file that cannot be read. */
  async #entry(wanted: Wanted): Promise<{ entry: FileEntry | undefined; read: number }> {
    const { path, person, file, known } = wanted;
    const { ctx, set, findings, largest = Number.POSITIVE_INFINITY } = this.#o;
    const named = { set: set.name, tenant: this.#o.share.tenant, path };
    const last = (state: FileEntry['state']) => known && (known.state === state ? known : { ...known, state });
    if (!file) {
      findings.missing(named, known !== undefined);
      return { entry: last('gone'), read: 0 };
    }
    if (this.#unchanged(wanted)) return { entry: known, read: 0 };
    try {
      if (file.size > largest) throw tooLarge(path, set.source, file.size, largest);
      const { owner, tenantKey } = await this.#owner(person);
      const about = { set: set.name, owner, tenantKey, clock: ctx.clock };
      const take = () => takeFile(ctx.store, set.source, file, about);
      const taken = await this.#o.budget.run(memoryFor(file.size), take);
      findings.read(taken.storedBytes);
      return { entry: this.#unlessSame(known, taken.entry), read: taken.entry.size };
    } catch (error) {
      if (!(error instanceof HoldfastError) || !OF_ONE_FILE.has(error.code)) throw error;
      if (error.code === 'HF_FILE_GONE') {
        findings.missing(named, known !== undefined);
        return { entry: last('gone'), read: 0 };
      }
      findings.unread(named, error, known !== undefined);
      return { entry: last('unread'), read: 0 };
    }
  }

  /** A file that was read again on request, and is the same, keeps its entry, and so its page. */
  #unlessSame(known: FileEntry | undefined, taken: FileEntry): FileEntry {
    const same = known?.state === 'present' && known.content === taken.content && known.token === taken.token;
    return same && known.token !== '' && JSON.stringify(known.about) === JSON.stringify(taken.about) ? known : taken;
  }

  async #owner(person: PersonKey | null): Promise<{ owner: Owner; tenantKey: string | null }> {
    const { keyring } = this.#o;
    const { tenant } = this.#o.share;
    if (person) return { owner: { tenant, person: person.ref, key: person.key }, tenantKey: null };
    const { id, key } = await keyring.tenantKey(tenant);
    return { owner: { tenant, person: null, key: contentSubkey(key) }, tenantKey: id };
  }
}

/**
 * Cuts a listing where the names say so, not where the numbers do: a file that comes or goes changes the page that it is in, and
 * the others stay as they were, and stored.
 */
function* cutPages(wanted: readonly Wanted[]): Generator<readonly Wanted[]> {
  let page: Wanted[] = [];
  for (const one of wanted) {
    page.push(one);
    const size = one.file?.size ?? one.known?.size ?? 0;
    const share = 1 / PAGE_FILES + size / PAGE_BYTES;
    if (page.length === PAGE_LIMIT || uniform(one.path) < share) {
      yield page;
      page = [];
    }
  }
  if (page.length > 0) yield page;
}

/** A number in [0, 1) that depends on the path alone. */
const uniform = (path: string): number => createHash('sha256').update(path).digest().readUInt32BE(0) / 2 ** 32;

const tooLarge = (path: string, { description }: FileSource, size: number, largest: number): StoreError =>
  new StoreError(
    'HF_FILE_TOO_LARGE',
    `${JSON.stringify(path)} in ${description} has ${size} bytes; a step takes ${largest}.`,
    {
      action: 'Run "holdfast files backup" on a machine: it takes files of any size, and the next run knows them.',
      details: { path, size, largest },
    },
  );
