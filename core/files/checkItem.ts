/** Checks of what a run has written, shared out among several processes, and without any person's key. */
import type { Context } from '../context.ts';
import { IntegrityError } from '../errors.ts';
import { inParallel } from '../restore/inParallel.ts';
import { Keyring } from '../snapshot/keyring.ts';
import { openStore } from '../snapshot/store.ts';
import { readFileManifest } from './manifest.ts';
import { manifestName, runOf } from './names.ts';
import { contentsOf } from './page.ts';
import type { FileRunStep } from './step.ts';
import type { FileManifest } from './types.ts';

const AT_ONCE = 16;

/** Every `of`th page of a run, beginning with `item`. */
export type FileItem = FileRunStep & { readonly item: number; readonly of: number };

export interface FileFaultFound {
  readonly object: string;
  readonly code: string;
  readonly message: string;
}

/** What a run has written itself, by name, with the sizes that it should have. */
export interface WrittenObjects {
  readonly manifest: FileManifest;
  readonly sizes: ReadonlyMap<string, number>;
  /** Pages of earlier runs that it names again. */
  readonly older: ReadonlyMap<string, number>;
  readonly faults: readonly FileFaultFound[];
}

/** @throws as `readFileManifest`; StoreError, KeyError when the store or the keys cannot be used at all */
export async function writtenObjects(
  ctx: Pick<Context, 'store' | 'keys'>,
  { run, tenant, item, of }: FileItem,
): Promise<WrittenObjects> {
  const { store, keys } = ctx;
  const { id } = await openStore(ctx);
  const keyring = new Keyring(store, keys, id);
  const name = manifestName(tenant, run);
  const manifest = await readFileManifest(ctx, name, id);
  const all = Object.entries(manifest.tenants).flatMap(([owner, pages]) => pages.map((page) => ({ owner, page })));
  const mine = all.filter((_, index) => index % of === item);
  const [own, old] = [true, false].map((its) => mine.filter(({ page }) => (runOf(page.object) === run) === its));
  const sizes = new Map(own!.map(({ page }) => [page.object, page.length]));
  const faults: FileFaultFound[] = [];
  await inParallel(own!, AT_ONCE, async ({ owner, page }) => {
    try {
      for (const { content, stored } of await contentsOf({ store, keyring }, owner, page)) sizes.set(content, stored);
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      faults.push({ object: page.object, code: error.code, message: error.message });
    }
  });
  return { manifest, sizes, older: new Map(old!.map(({ page }) => [page.object, page.length])), faults };
}

/**
 * Whether the pages of an item are there, and every content that its new ones name. What earlier runs wrote was checked with them;
 * "holdfast files check" looks at all of it.
 * @throws as `writtenObjects`
 */
export async function checkFileItem(
  ctx: Pick<Context, 'store' | 'keys'>,
  item: FileItem,
): Promise<{ readonly objects: number; readonly faults: readonly FileFaultFound[] }> {
  const { sizes, older, faults } = await writtenObjects(ctx, item);
  const expected = [...sizes, ...older];
  const missing = await inParallel(expected, AT_ONCE, async ([object, size]): Promise<FileFaultFound[]> => {
    const got = (await ctx.store.head(object))?.size;
    if (got === size) return [];
    const code = got === undefined ? 'HF_OBJECT_MISSING' : 'HF_OBJECT_TRUNCATED';
    return [{ object, code, message: `${object} has ${got ?? 'no'} bytes; it should have ${size}.` }];
  });
  return { objects: expected.length, faults: [...faults, ...missing.flat()] };
}
