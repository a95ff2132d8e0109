/**
 * Copying backups of users' files: run by run, contents first, then the listings that name them, then the run's manifest. With the
 * keys, listings say which contents a run needs, and each is opened on its way; without, all contents are copied that are there.
 */

import { type HoldfastError, isCode } from '../errors.ts';
import type { Owner } from '../files/content.ts';
import { listFileManifests, readFileManifest } from '../files/manifest.ts';
import { CONTENT } from '../files/names.ts';
import { readPage } from '../files/page.ts';
import type { FileEntry, FileManifest, FilePage } from '../files/types.ts';
import {
  type KeyService,
  type ObjectStore,
  type PersonKeyStore,
  type Progress,
  silentProgress,
  type Trust,
} from '../ports.ts';
import { inParallel } from '../restore/inParallel.ts';
import { Keyring, subkey } from '../snapshot/keyring.ts';
import { pathOfTenant } from '../snapshot/store.ts';
import { pairs, sizesUnder } from './compare.ts';
import { differs } from './copyBackup.ts';
import { copyObject, isLocking } from './copyObject.ts';
import { faultOf } from './faultOf.ts';
import { provenContent, wholeContent } from './fileContent.ts';
import type { DocumentFault } from './replicate.ts';

const AT_ONCE = 4;
/** Contents that were found to be missing, before they are copied. */
const WAVE = 64;

export interface FileReplication {
  readonly source: ObjectStore;
  readonly target: ObjectStore;
  readonly trust: Trust;
  readonly keys?: KeyService | undefined;
  readonly persons?: PersonKeyStore | undefined;
  readonly progress?: Progress;
  /** Whether a run goes along. @default all do */
  readonly runs?: (manifest: FileManifest) => boolean;
  /** Asked before each object: whether to end, for now, before all is copied. @default to go on */
  readonly stop?: () => boolean;
}

export interface FileReplicationReport {
  /** Runs that were copied. */
  readonly runs: readonly string[];
  readonly contents: number;
  readonly bytes: number;
  /** Contents that nothing here could open: that they are whole was checked, and no more. */
  readonly unproven: number;
  /** Runs that were left out, because something that they name is not sound. */
  readonly withheld: readonly { readonly id: string; readonly code: string; readonly message: string }[];
  readonly faults: readonly DocumentFault[];
}

/** @throws as `replicate` */
export async function replicateFiles(job: FileReplication, storeId: string): Promise<FileReplicationReport> {
  const { source, target, progress = silentProgress } = job;
  // Before the contents: what these name exists by now.
  const sources = await listFileManifests(source);
  const there = new Set((await listFileManifests(target)).map(({ name }) => name));
  const run = new FileRuns(job, storeId);
  const manifests: { name: string; manifest: FileManifest }[] = [];
  for (const { id, name } of sources) {
    if (there.has(name)) continue;
    const manifest = await run.read(id, name);
    if (manifest && (job.runs?.(manifest) ?? true)) manifests.push({ name, manifest });
  }
  progress.start(
    'Copying files',
    manifests.reduce((sum, { manifest }) => sum + manifest.totals.files, 0),
    'steps',
  );
  for (const { name, manifest } of manifests) await run.copy(name, manifest);
  progress.done();
  return run.report();
}

/** The steps of one replication of files, and what they found. */
export class FileRuns {
  readonly #job: FileReplication;
  readonly #storeId: string;
  readonly #keyring: Keyring | undefined;
  readonly #runs: string[] = [];
  readonly #withheld: { id: string; code: string; message: string }[] = [];
  /** The first fault of each content or listing that was not copied. */
  readonly #faults = new Map<string, HoldfastError>();
  /** Contents that the target has, and their sizes, of the tenant that was looked at last: a run goes tenant by tenant. */
  #there: { readonly tenant: string; readonly sizes: Map<string, number> } | undefined;
  /** Tenants all of whose contents were gone through, and what is wrong with one of them. */
  readonly #complete = new Map<string, HoldfastError | undefined>();
  /** Listings that the target has. */
  readonly #here = new Set<string>();
  #stopped = false;
  #contents = 0;
  #bytes = 0;
  #unproven = 0;

  constructor(job: FileReplication, storeId: string) {
    this.#job = job;
    this.#storeId = storeId;
    this.#keyring = job.keys && job.persons && new Keyring(job.source, job.keys, storeId);
  }

  report(): FileReplicationReport {
    return {
      runs: this.#runs,
      contents: this.#contents,
      bytes: this.#bytes,
      unproven: this.#unproven,
      withheld: this.#withheld,
      faults: [...this.#faults].map(([object, { code, message }]) => ({ object, code, message })),
    };
  }

  /** undefined: it does not hold, and is withheld. */
  async read(id: string, name: string): Promise<FileManifest | undefined> {
    const { source, trust } = this.#job;
    try {
      return await readFileManifest({ store: source, keys: trust }, name, this.#storeId);
    } catch (error) {
      this.withhold(id, await faultOf(source, error));
      return undefined;
    }
  }

  /** Whether it was asked to end before all was copied. */
  get stopped(): boolean {
    return this.#stopped;
  }

  async copy(name: string, manifest: FileManifest): Promise<void> {
    let bad: HoldfastError | undefined;
    for (const [tenant, pages] of Object.entries(manifest.tenants)) bad ??= await this.tenant(tenant, pages);
    if (this.#stopped) return;
    if (bad) this.withhold(manifest.id, bad);
    else await this.seal(name, manifest);
  }

  /** Contents and listings of one tenant. @returns what keeps a run that names them from being whole at the target */
  async tenant(tenant: string, pages: readonly FilePage[]): Promise<HoldfastError | undefined> {
    let bad: HoldfastError | undefined;
    for (const page of pages) {
      if (!(await this.#isHere(page))) {
        if (this.#stop()) return bad;
        bad ??= await this.#page(tenant, page);
      }
      this.#job.progress?.advance(page.files);
    }
    return bad;
  }

  /** A listing comes after the contents that it names: where it is, they are. Most are named by one run after the other. */
  async #isHere({ object }: FilePage): Promise<boolean> {
    if (!this.#here.has(object) && (await this.#job.target.head(object))) this.#here.add(object);
    return this.#here.has(object);
  }

  /** Puts the manifest of a run all of whose listings are there. */
  async seal(name: string, manifest: FileManifest): Promise<void> {
    const { source, target } = this.#job;
    try {
      await target.put(name, await source.get(name));
    } catch (error) {
      if (!isCode(error, 'HF_OBJECT_EXISTS')) throw error;
      if (!(await target.get(name)).equals(await source.get(name))) {
        this.withhold(manifest.id, differs(target, name, error));
        return;
      } // else another run was first
    }
    this.#runs.push(manifest.id);
  }

  /** @returns what keeps a run that names it from being whole at the target */
  async #page(tenant: string, page: FilePage): Promise<HoldfastError | undefined> {
    const { source, target } = this.#job;
    try {
      const bad = this.#keyring ? await this.#named(tenant, page) : await this.#all(tenant);
      if (bad || this.#stopped) return bad;
      await copyObject(source, target, page.object, { size: page.length, sha256: page.sha256 });
      return undefined;
    } catch (error) {
      const fault = await faultOf(source, error);
      this.#faults.set(page.object, fault);
      return fault;
    }
  }

  /** Contents that a listing names. */
  async #named(tenant: string, page: FilePage): Promise<HoldfastError | undefined> {
    const { source, target, persons } = this.#job;
    const reader = { store: source, persons: persons!, keyring: this.#keyring! };
    const { entries } = await readPage(reader, tenant, page);
    const refs = [...new Set(entries.flatMap(({ person }) => (person === null ? [] : [person])))];
    const keys = await persons!.lookup(tenant, refs);
    const there = await this.#atTarget(tenant);
    const wanted = new Map(entries.map((entry) => [entry.content, entry]));
    let bad: HoldfastError | undefined;
    await inParallel([...wanted.values()], AT_ONCE, async (entry) => {
      const size = there.get(entry.content);
      const key = entry.person === null ? await this.#tenantKey(tenant, entry) : keys.get(entry.person)?.key;
      if (!key) return; // erased just now: there is nothing to copy
      const owner: Owner = { tenant, person: entry.person, key };
      const fault =
        size === undefined
          ? await this.#content(entry.content, entry.stored, provenContent(source, owner, entry))
          : size === entry.stored
            ? await this.#lock(entry.content)
            : this.#note(entry.content, differs(target, entry.content));
      bad ??= fault;
    });
    return bad;
  }

  #stop(): boolean {
    this.#stopped ||= this.#job.stop?.() ?? false;
    return this.#stopped;
  }

  /** Every content of a tenant: which of them a listing names cannot be read here. */
  async #all(tenant: string): Promise<HoldfastError | undefined> {
    if (this.#complete.has(tenant)) return this.#complete.get(tenant);
    const { source, target } = this.#job;
    let bad: HoldfastError | undefined;
    let missing: { name: string; size: number }[] = [];
    const copyMissing = async () => {
      const wave = missing;
      missing = [];
      await inParallel(wave, AT_ONCE, async ({ name, size }) => {
        if (this.#stop()) return;
        const fault = await this.#content(name, size, wholeContent(source, name, size));
        if (!fault) this.#unproven++;
        bad ??= fault;
      });
    };
    for await (const { name, source: size, target: there } of pairs(source, target, contentFolder(tenant))) {
      if (size === undefined) continue;
      const before = this.#faults.get(name);
      if (before) bad ??= before;
      else if (there === undefined) {
        missing.push({ name, size });
        if (missing.length === WAVE) await copyMissing();
        if (this.#stopped) return bad;
      } else if (there !== size) bad ??= this.#note(name, differs(target, name));
    }
    await copyMissing();
    if (!this.#stopped) this.#complete.set(tenant, bad);
    return bad;
  }

  async #content(name: string, size: number, body: AsyncIterable<Uint8Array>): Promise<HoldfastError | undefined> {
    const known = this.#faults.get(name);
    if (known) return known;
    const { source, target, progress = silentProgress } = this.#job;
    try {
      await target.putStream(name, stoppable(body, progress));
      this.#contents++;
      this.#bytes += size;
      this.#there?.sizes.set(name, size);
      return undefined;
    } catch (error) {
      if (isCode(error, 'HF_OBJECT_EXISTS')) return undefined; // another run was first
      return this.#note(name, await faultOf(source, error));
    }
  }

  /** A killed run may have put it, and not locked it yet. */
  async #lock(name: string): Promise<undefined> {
    const { target } = this.#job;
    if (isLocking(target)) await target.lock(name);
  }

  async #atTarget(tenant: string): Promise<Map<string, number>> {
    if (this.#there?.tenant !== tenant) {
      this.#there = { tenant, sizes: await sizesUnder(this.#job.target, contentFolder(tenant)) };
    }
    return this.#there.sizes;
  }

  async #tenantKey(tenant: string, { tenantKey }: FileEntry): Promise<Buffer> {
    return subkey((await this.#keyring!.tenantKeyById(tenant, tenantKey!)).key, 'file-content');
  }

  #note(name: string, fault: HoldfastError): HoldfastError {
    this.#faults.set(name, fault);
    return fault;
  }

  withhold(id: string, { code, message }: HoldfastError): void {
    this.#withheld.push({ id, code, message });
  }
}

const contentFolder = (tenant: string): string => `${CONTENT}${pathOfTenant(tenant)}/`;

/** Somebody may ask to stop between two pieces of a long content. */
async function* stoppable(body: AsyncIterable<Uint8Array>, progress: Progress): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    yield piece;
    progress.advance(0);
  }
}
