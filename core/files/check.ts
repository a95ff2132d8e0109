/** Whether what a run says can be restored can be: its listings, and the contents that they name. */
import type { Context } from '../context.ts';
import { HoldfastError } from '../errors.ts';
import { openContent } from './content.ts';
import { listFileManifests, readFileManifest } from './manifest.ts';
import { manifestFolder } from './names.ts';
import { ownersOf } from './ownerKeys.ts';
import { readPage } from './page.ts';
import { openStateReader, type StateReader } from './stateAt.ts';
import type { FileEntry, FileManifest } from './types.ts';

export interface FileFault {
  readonly object: string;
  readonly code: string;
  readonly message: string;
  readonly tenant?: string;
  /** The file whose content it is. */
  readonly path?: string;
}

export interface FileCheckReport {
  readonly runs: readonly string[];
  readonly files: number;
  /** Contents that were looked at; read to their last byte with `deep`. */
  readonly contents: number;
  readonly bytes: number;
  /** Files of erased persons: there is nothing left to check. */
  readonly erased: number;
  readonly deep: boolean;
  readonly faults: readonly FileFault[];
}

export interface FileCheckOptions {
  /** One run. @default the newest of every scope */
  readonly run?: string;
  readonly all?: boolean;
  /** Read and open every content. @default false: only that it is there in its size */
  readonly deep?: boolean;
  /** Only every `of`th page, beginning with `number`: several share a long check. @default all of it */
  readonly part?: { readonly number: number; readonly of: number };
}

/** Faults are in the report; only a store or key that cannot be used at all throws. */
export async function checkFiles(
  ctx: Pick<Context, 'store' | 'keys' | 'persons' | 'progress'>,
  options: FileCheckOptions = {},
): Promise<FileCheckReport> {
  const reader = await openStateReader(ctx);
  const faults: FileFault[] = [];
  const check = new Check(reader, options, faults);
  const runs: string[] = [];
  for (const name of await chosen(reader, options)) {
    try {
      const manifest = await readFileManifest(ctx, name, reader.storeId);
      runs.push(manifest.id);
      ctx.progress.start(`check ${manifest.id}`, manifest.totals.files, 'steps');
      await check.run(manifest, (files) => ctx.progress.advance(files));
      ctx.progress.done();
    } catch (error) {
      faults.push(fault(error, { object: name }));
    }
  }
  const { files, contents, bytes, erased } = check;
  return { runs, files, contents, bytes, erased, deep: options.deep === true, faults };
}

async function chosen({ ctx }: StateReader, { run, all }: FileCheckOptions): Promise<string[]> {
  const refs = await listFileManifests(ctx.store);
  if (run !== undefined) {
    const found = refs.filter(({ id }) => id === run).map(({ name }) => name);
    // A run that is not there is a fault to report as any other: readFileManifest says it.
    return found.length > 0 ? found : [`${manifestFolder(null)}${run}.json`];
  }
  if (all) return refs.map(({ name }) => name);
  const newest = new Map(refs.map(({ name }) => [name.slice(0, name.lastIndexOf('/')), name]));
  return [...newest.values()];
}

class Check {
  files = 0;
  contents = 0;
  bytes = 0;
  erased = 0;
  readonly #reader: StateReader;
  readonly #deep: boolean;
  readonly #part: { readonly number: number; readonly of: number };
  readonly #faults: FileFault[];
  readonly #pages = new Set<string>();
  readonly #seen = new Set<string>();

  constructor(
    reader: StateReader,
    { deep = false, part = { number: 0, of: 1 } }: FileCheckOptions,
    faults: FileFault[],
  ) {
    this.#reader = reader;
    this.#deep = deep;
    this.#part = part;
    this.#faults = faults;
  }

  async run(manifest: FileManifest, progress: (files: number) => void): Promise<void> {
    const pages = Object.entries(manifest.tenants).flatMap(([tenant, own]) => own.map((page) => ({ tenant, page })));
    for (const [index, { tenant, page }] of pages.entries()) {
      if (index % this.#part.of === this.#part.number && !this.#pages.has(page.object)) {
        this.#pages.add(page.object);
        try {
          const { entries, erased } = await readPage(this.#reader, tenant, page);
          this.files += entries.length;
          this.erased += erased.length;
          await this.#contents(tenant, entries);
        } catch (error) {
          this.#faults.push(fault(error, { object: page.object, tenant }));
        }
      }
      progress(page.files);
    }
  }

  async #contents(tenant: string, entries: readonly FileEntry[]): Promise<void> {
    const ownerOf = this.#deep ? await ownersOf(this.#reader, tenant, entries) : undefined;
    for (const entry of entries) {
      if (this.#seen.has(entry.content)) continue;
      this.#seen.add(entry.content);
      this.contents++;
      this.bytes += entry.stored;
      const { content: object, path } = entry;
      try {
        const size = (await this.#reader.store.head(object))?.size;
        if (size !== entry.stored) {
          const got = size === undefined ? 'is not there' : `has ${size} bytes`;
          const code = size === undefined ? 'HF_OBJECT_MISSING' : 'HF_FILE_CORRUPT';
          const message = `${object} ${got}; it should have ${entry.stored} bytes.`;
          this.#faults.push({ object, tenant, path, code, message });
          continue;
        }
        const owner = ownerOf?.(entry);
        if (owner) for await (const _ of openContent(this.#reader.store, owner, entry));
      } catch (error) {
        this.#faults.push(fault(error, { object, tenant, path }));
      }
    }
  }
}

/** Errors of the domain, but for those that would be the same for every object, are faults. */
function fault(error: unknown, where: Pick<FileFault, 'object' | 'tenant' | 'path'>): FileFault {
  if (!(error instanceof HoldfastError) || FATAL.has(error.code)) throw error;
  return { ...where, code: error.code, message: error.message };
}

const FATAL = new Set([
  'HF_STORE_DENIED',
  'HF_STORE_UNAVAILABLE',
  'HF_STORE_UNKNOWN',
  'HF_KEY_DISABLED',
  'HF_KEY_UNAVAILABLE',
]);
