/**
 * The same for a side that has no keys, as steps that are processes of their own: which tenants there is something of to copy, their
 * contents and listings by many at once, then the manifests of runs that are whole.
 */
import { type HoldfastError, IntegrityError } from '../errors.ts';
import { listFileManifests } from '../files/manifest.ts';
import { PAGES } from '../files/names.ts';
import type { FileManifest } from '../files/types.ts';
import { inParallel } from '../restore/inParallel.ts';
import { sizesUnder } from './compare.ts';
import { type FileReplication, FileRuns } from './fileRuns.ts';
import type { DocumentFault } from './replicate.ts';

const READERS = 8;
/** What one step copies in its time, about, when the contents are not large. */
const STEP_FILES = 16_384;
const STEP_TENANTS = 500;

type Job = Pick<FileReplication, 'source' | 'target' | 'trust' | 'stop'>;

export interface LackingFiles {
  /** Names of the manifests that the target lacks, in order of time. */
  readonly runs: readonly string[];
  /** Tenants that are copied together. */
  readonly tenants: readonly (readonly string[])[];
}

/** @throws as `replicate` */
export async function lackingFiles(job: Job, storeId: string): Promise<LackingFiles> {
  const there = new Set((await listFileManifests(job.target)).map(({ name }) => name));
  const runs = (await listFileManifests(job.source)).filter(({ name }) => !there.has(name)).map(({ name }) => name);
  const files = new Map<string, number>();
  for (const { tenants } of await read(new FileRuns(job, storeId), runs)) {
    for (const [tenant, pages] of Object.entries(tenants)) {
      const own = pages.reduce((sum, page) => sum + page.files, 0);
      files.set(tenant, Math.max(files.get(tenant) ?? 0, own));
    }
  }
  const tenants: string[][] = [];
  let count = STEP_FILES;
  for (const [tenant, own] of files) {
    if (count + own > STEP_FILES || tenants.at(-1)!.length === STEP_TENANTS) {
      tenants.push([]);
      count = 0;
    }
    tenants.at(-1)!.push(tenant);
    count += own;
  }
  return { runs, tenants };
}

/**
 * Contents and listings of some tenants, as far as the time allows. What cannot be copied is told, and does not keep the others.
 * @returns done: false, it goes on where it was when it is called again
 */
export async function copyTenantFiles(
  job: Job,
  storeId: string,
  { runs, tenants }: { readonly runs: readonly string[]; readonly tenants: readonly string[] },
): Promise<{ readonly done: boolean; readonly faults: readonly DocumentFault[] }> {
  const copying = new FileRuns(job, storeId);
  for (const { tenants: pages } of await read(copying, runs)) {
    for (const tenant of tenants) {
      if (Object.hasOwn(pages, tenant)) await copying.tenant(tenant, pages[tenant]!);
      if (copying.stopped) return { done: false, faults: [] };
    }
  }
  return { done: true, faults: copying.report().faults };
}

/** Puts the manifests of the runs whose listings are all there. @returns ids of those, and those that were left out, with the reason */
export async function sealFileRuns(
  job: Job,
  storeId: string,
  runs: readonly string[],
): Promise<Pick<ReturnType<FileRuns['report']>, 'runs' | 'withheld'>> {
  const sealing = new FileRuns(job, storeId);
  const here = runs.length > 0 ? await sizesUnder(job.target, PAGES) : new Map<string, number>();
  for (const name of runs) {
    const [manifest] = await read(sealing, [name]);
    if (!manifest) continue; // withheld already
    const lacking = Object.values(manifest.tenants)
      .flat()
      .find(({ object, length }) => here.get(object) !== length);
    if (lacking) sealing.withhold(manifest.id, notHere(job, lacking.object));
    else await sealing.seal(name, manifest);
  }
  return sealing.report();
}

/** Those that hold; the others are withheld. */
async function read(by: FileRuns, names: readonly string[]): Promise<FileManifest[]> {
  const manifests = await inParallel(names, READERS, (name) => by.read(idOf(name), name));
  return manifests.filter((manifest) => manifest !== undefined);
}

const idOf = (name: string): string => name.slice(name.lastIndexOf('/') + 1, -'.json'.length);

const notHere = ({ target }: Job, object: string): HoldfastError =>
  new IntegrityError('HF_OBJECT_MISSING', `${object} did not get to ${target.description}.`, {
    action:
      'See why in the faults of this execution; start the workflow again when it was mended: it pulls what is missing.',
    details: { object },
  });
