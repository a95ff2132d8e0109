/**
 * Person keys in a directory of their own, outside every object store: no restore can bring a key back, and no backup holds
 * one. Each tenant has a secret, wrapped by the root, from which the references and the wrapping of the keys derive.
 */
import { realpathSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { ConfigError, KeyError } from '../../core/errors.ts';
import type { KeyService, ObjectStore, PersonKey, PersonKeyStore } from '../../core/ports.ts';
import { PersonSecret, personSecretContext } from '../../core/snapshot/personSecret.ts';
import { pathOfTenant } from '../../core/snapshot/store.ts';
import { DirectoryStore } from './directoryStore.ts';
import { replaceFile, writeNewFile } from './durableFile.ts';
import { fileError } from './fileError.ts';
import { withFileLock } from './fileLock.ts';
import { appendRecords, emptyPersonFile, fence, type PersonFile, peek, readPersonFile } from './personKeyFile.ts';

const FORMAT = 'holdfast-person-keys';
/** Keys kept unwrapped in memory at most, over all tenants: 100,000 take about 30 MB. */
const CACHE = 100_000;

interface Tenant {
  readonly folder: string;
  readonly secret: PersonSecret;
  file: PersonFile;
  /** Unwrapped keys by person id and by reference, for as long as no erasure happens. */
  readonly keys: Map<string, PersonKey>;
}

/** @throws ConfigError HF_PERSON_KEYS_IN_STORE when one lies inside the other */
export function openPersonKeys(directory: string, store: ObjectStore, keys: KeyService): PersonKeyDirectory {
  if (store instanceof DirectoryStore && overlap(directory, store.directory)) {
    throw new ConfigError(
      'HF_PERSON_KEYS_IN_STORE',
      `The person keys (${directory}) and the object store (${store.directory}) share a directory.`,
      { action: 'Put the person keys elsewhere: a copy of the store must not carry the keys that erasure destroys.' },
    );
  }
  return new PersonKeyDirectory(directory, keys);
}

export class PersonKeyDirectory implements PersonKeyStore {
  readonly #directory: string;
  readonly #root: KeyService;
  readonly #tenants = new Map<string, Promise<Tenant | undefined>>();
  #cached = 0;

  /** Use `openPersonKeys`, which also checks where the directory lies. */
  constructor(directory: string, keys: KeyService) {
    this.#directory = directory;
    this.#root = keys;
  }

  obtain(tenant: string, persons: readonly string[]): Promise<Map<string, PersonKey>> {
    return this.#translated(tenant, () => this.#obtain(tenant, persons));
  }

  async #obtain(tenant: string, persons: readonly string[]): Promise<Map<string, PersonKey>> {
    const found = new Map<string, PersonKey>();
    if (persons.length === 0) return found;
    const state = (await this.#refresh(tenant)) ?? (await this.#create(tenant));
    const missing = this.#collect(state, persons, found);
    if (missing.length > 0) {
      await this.#locked(state, async () => {
        const still = this.#collect(state, missing, found);
        if (still.length === 0) return;
        const added = [...new Set(still)].map((person) => newKey(state, person));
        await appendRecords(join(state.folder, 'keys.bin'), state.file, added);
        for (const { person, ref, key } of added) found.set(person, this.#remember(state, person, { ref, key }));
        state.file = await readPersonFile(join(state.folder, 'keys.bin'));
      });
    }
    return found;
  }

  async lookup(tenant: string, refs: readonly string[]): Promise<Map<string, PersonKey>> {
    const found = new Map<string, PersonKey>();
    const state = await this.#translated(tenant, () => this.#refresh(tenant));
    if (!state) return found;
    for (const ref of refs) {
      const key = this.#keyOf(state, ref);
      if (key) found.set(ref, key);
    }
    return found;
  }

  async state(tenant: string, ref: string): Promise<'live' | 'erased' | 'unknown'> {
    const state = await this.#translated(tenant, () => this.#refresh(tenant));
    const record = state?.file.records.get(ref);
    if (!record) return 'unknown';
    return record.wrapped ? 'live' : 'erased';
  }

  /**
   * Erases a person for good: fences the reference, then overwrites the key. Doing it again changes nothing. The file
   * system's journal or a solid-state disk may hold old blocks for a while: keep this directory on an encrypted disk.
   * @returns the reference
   */
  erase(tenant: string, person: string): Promise<string> {
    return this.#translated(tenant, () => this.#erase(tenant, person));
  }

  /**
   * Wraps the secret of every tenant with the current root. The keys of persons hang on the secret and stay as they are; each file
   * is replaced whole, so this may be stopped and run again.
   * @returns how many were wrapped now
   */
  async rewrap(): Promise<number> {
    let count = 0;
    for (const entry of await readdir(this.#directory, { withFileTypes: true }).catch(nothingThere)) {
      if (!entry.isDirectory()) continue;
      const path = join(this.#directory, entry.name, 'tenant.json');
      const text = await readFile(path, 'utf8').catch(nothingThere);
      const file = typeof text === 'string' ? parseTenant(text) : undefined;
      if (!file || file.rootKey === this.#root.rootKeyId) continue;
      const context = personSecretContext(file.tenant);
      const secret = await this.#root.unwrap(Buffer.from(file.wrapped, 'base64'), context);
      const wrapped = (await this.#root.wrap(secret, context)).toString('base64');
      await replaceFile(path, tenantFile({ tenant: file.tenant, rootKey: this.#root.rootKeyId, wrapped }));
      count++;
    }
    return count;
  }

  async #erase(tenant: string, person: string): Promise<string> {
    const state = (await this.#refresh(tenant)) ?? (await this.#create(tenant));
    const ref = state.secret.reference(person);
    await this.#locked(state, async () => {
      const path = join(state.folder, 'keys.bin');
      const record = state.file.records.get(ref);
      if (record) await fence(path, state.file, record);
      else await appendRecords(path, state.file, [{ ref, wrapped: undefined }]);
      state.keys.clear();
      state.file = await readPersonFile(path);
    });
    return ref;
  }

  /** Fills `found` and returns the persons that have no record at all. Fenced persons are in neither. */
  #collect(state: Tenant, persons: readonly string[], found: Map<string, PersonKey>): string[] {
    return persons.filter((person) => {
      const cached = state.keys.get(`p${person}`);
      if (cached) {
        found.set(person, cached);
        return false;
      }
      const ref = state.secret.reference(person);
      if (!state.file.records.has(ref)) return true;
      const key = this.#keyOf(state, ref);
      if (key) found.set(person, this.#remember(state, person, key));
      return false;
    });
  }

  #keyOf(state: Tenant, ref: string): PersonKey | undefined {
    const cached = state.keys.get(`r${ref}`);
    if (cached) return cached;
    const wrapped = state.file.records.get(ref)?.wrapped;
    if (!wrapped) return undefined;
    const key = state.secret.unwrap(ref, wrapped);
    if (key) return this.#remember(state, undefined, { ref, key });
    throw new KeyError('HF_KEY_WRONG', `The key of person ${ref} in ${state.folder} does not unwrap.`, {
      action: 'The person key directory mixes files of different installations: bring it back from its replica.',
      details: { ref },
    });
  }

  #remember(state: Tenant, person: string | undefined, key: PersonKey): PersonKey {
    if (this.#cached >= CACHE) this.#forget();
    this.#cached++;
    state.keys.set(`r${key.ref}`, key);
    if (person !== undefined) state.keys.set(`p${person}`, key);
    return key;
  }

  #forget(): void {
    for (const state of this.#tenants.values()) void state.then((tenant) => tenant?.keys.clear());
    this.#cached = 0;
  }

  /** The tenant as it is on the disk now; undefined when it has no person keys. */
  async #refresh(tenant: string): Promise<Tenant | undefined> {
    let known = this.#tenants.get(tenant);
    if (!known) {
      known = this.#load(tenant);
      this.#tenants.set(tenant, known);
    }
    const state = await known.catch((error) => {
      this.#tenants.delete(tenant);
      throw error;
    });
    if (!state) this.#tenants.delete(tenant);
    else await this.#reload(state);
    return state;
  }

  async #reload(state: Tenant): Promise<void> {
    const path = join(state.folder, 'keys.bin');
    const now = peek(path);
    if (!now || (now.generation === state.file.generation && now.end === state.file.end)) return;
    const file = await readPersonFile(path);
    if (file.generation !== state.file.generation) state.keys.clear();
    state.file = file;
  }

  async #translated<T>(tenant: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw fileError(error, `person key directory ${this.#directory}`, `the keys of ${tenant}`);
    }
  }

  #locked<T>(state: Tenant, work: () => Promise<T>): Promise<T> {
    return withFileLock(join(state.folder, 'lock'), async () => {
      await this.#reload(state);
      return work();
    });
  }

  async #load(tenant: string): Promise<Tenant | undefined> {
    const folder = join(this.#directory, pathOfTenant(tenant));
    let text: string;
    try {
      text = await readFile(join(folder, 'tenant.json'), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    const file = parseTenant(text);
    if (file?.format !== FORMAT || file.version !== 1 || file.tenant !== tenant) {
      throw new KeyError('HF_PERSON_KEYS_CORRUPT', `${folder} does not hold the person keys of ${tenant}.`, {
        action: 'Bring the person key directory back from its replica.',
      });
    }
    const root = await this.#root.unwrap(Buffer.from(file.wrapped, 'base64'), personSecretContext(tenant));
    return {
      folder,
      secret: new PersonSecret(root),
      file: emptyPersonFile,
      keys: new Map(),
    };
  }

  async #create(tenant: string): Promise<Tenant> {
    const folder = join(this.#directory, pathOfTenant(tenant));
    const { wrapped } = await this.#root.generate(personSecretContext(tenant));
    const file = tenantFile({ tenant, rootKey: this.#root.rootKeyId, wrapped: wrapped.toString('base64') });
    try {
      await writeNewFile(join(folder, 'tenant.json'), [file]);
    } catch (error) {
      // Another process was first; its secret is the one.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    return (await this.#refresh(tenant))!;
  }
}

interface TenantFile {
  readonly tenant: string;
  readonly rootKey: string;
  /** base64 */
  readonly wrapped: string;
}

const tenantFile = (file: TenantFile): Buffer =>
  Buffer.from(`${JSON.stringify({ format: FORMAT, version: 1, ...file }, null, 2)}\n`);

function nothingThere(error: NodeJS.ErrnoException): [] {
  if (error.code === 'ENOENT') return [];
  throw error;
}

function parseTenant(text: string): (TenantFile & { format: string; version: number }) | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function newKey(tenant: Tenant, person: string) {
  const ref = tenant.secret.reference(person);
  return { person, ref, ...tenant.secret.newKey(ref) };
}

function overlap(a: string, b: string): boolean {
  const inside = (inner: string, outer: string) => !relative(outer, inner).startsWith('..');
  const [one, two] = [real(a), real(b)];
  return inside(one, two) || inside(two, one);
}

/** The path with links resolved, as far as it exists. */
function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const full = resolve(path);
    return join(real(dirname(full)), basename(full));
  }
}
