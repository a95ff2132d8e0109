/**
 * Reads every byte of a store and holds it against what was signed. Needs no database, and no key but public ones; what only the
 * root could tell is counted, not guessed.
 */
import { type HoldfastError, IntegrityError, KeyError } from '../errors.ts';
import {
  type KeyService,
  type ObjectStore,
  type PersonKeyStore,
  type Progress,
  silentProgress,
  type Trust,
} from '../ports.ts';
import { inParallel } from '../restore/inParallel.ts';
import { checkManifest, listManifests, type ManifestRef } from '../snapshot/manifest.ts';
import { backupFolder, readMarker } from '../snapshot/store.ts';
import { keyName } from '../snapshot/tenantKeyFile.ts';
import type { Manifest } from '../snapshot/types.ts';
import { sizesUnder } from './compare.ts';
import { checkObject } from './copyObject.ts';
import { checkDocument, KEY_FOLDERS, SIDE_FOLDERS } from './document.ts';
import type { DocumentFault } from './replicate.ts';
import { type FilesVerdict, verifyFiles } from './verifyFiles.ts';

const DOCUMENTS_AT_ONCE = 8;
const OBJECTS_AT_ONCE = 2;

export interface Verification {
  readonly store: ObjectStore;
  readonly trust: Trust;
  readonly keys?: KeyService | undefined;
  /** With the keys, opens the contents of users' files. */
  readonly persons?: PersonKeyStore | undefined;
  readonly progress?: Progress;
}

export interface StoreVerdict {
  /** Id of the store. */
  readonly store: string;
  readonly backups: number;
  readonly objects: number;
  readonly bytes: number;
  readonly documents: number;
  /** Tenant keys that nothing here could open: checked for shape and place only. */
  readonly unproven: number;
  /** Backups of users' files. */
  readonly files: Omit<FilesVerdict, 'faults'>;
  /** Empty for a sound store. */
  readonly faults: readonly DocumentFault[];
}

/** @throws StoreError; KeyError HF_KEY_WRONG when the store was signed by nobody who is trusted; IntegrityError HF_STORE_MARKER */
export async function verifyStore(job: Verification): Promise<StoreVerdict> {
  const { store, progress = silentProgress } = job;
  const { id } = await readMarker(store, job.trust);
  const check = new Check(job, id);
  const refs = await listManifests(store);
  await check.documents([...KEY_FOLDERS, ...SIDE_FOLDERS]);
  let total = 0;
  for await (const { size } of store.list('backups/')) total += size;
  progress.start('Verifying', total, 'bytes');
  const ids = new Set(refs.map((ref) => ref.id));
  for (const ref of refs) await check.backup(ref, ids);
  progress.done();
  const { faults, ...files } = await verifyFiles(job, id);
  const verdict = check.verdict();
  return { ...verdict, files, faults: [...verdict.faults, ...faults] };
}

class Check {
  readonly #job: Verification;
  readonly #storeId: string;
  readonly #faults: DocumentFault[] = [];
  readonly #keys = new Set<string>();
  readonly #counted = { backups: 0, objects: 0, bytes: 0, documents: 0, unproven: 0 };

  constructor(job: Verification, storeId: string) {
    this.#job = job;
    this.#storeId = storeId;
  }

  verdict(): Omit<StoreVerdict, 'files'> {
    return { store: this.#storeId, ...this.#counted, faults: this.#faults };
  }

  async documents(folders: readonly string[]): Promise<void> {
    const { store, trust, keys } = this.#job;
    const names: string[] = [];
    for (const folder of folders) for await (const { name } of store.list(folder)) names.push(name);
    await inParallel(names, DOCUMENTS_AT_ONCE, async (name) => {
      this.#counted.documents++;
      await this.#note(name, async () => {
        const proven = await checkDocument({ store, storeId: this.#storeId, trust, keys }, name, await store.get(name));
        if (!proven) this.#counted.unproven++;
        if (name.startsWith('keys/')) this.#keys.add(name);
      });
    });
  }

  async backup(ref: ManifestRef, ids: ReadonlySet<string>): Promise<void> {
    const { store, trust, progress } = this.#job;
    this.#counted.backups++;
    await this.#note(ref.name, async () => {
      const manifest = await checkManifest(trust, await store.get(ref.name), ref.name, this.#storeId);
      this.#stands(manifest, ref, ids);
      const sizes = await sizesUnder(store, backupFolder(manifest.id));
      await inParallel(manifest.objects, OBJECTS_AT_ONCE, (object) =>
        this.#note(object.name, async () => {
          this.#counted.objects++;
          if (!sizes.has(object.name)) {
            throw new IntegrityError('HF_OBJECT_MISSING', `${object.name} is not in ${store.description}.`, {
              action: 'Bring it back from another copy of the store.',
            });
          }
          await checkObject(store, object.name, object, { advance: (bytes) => progress?.advance(bytes) });
          this.#counted.bytes += object.size;
        }),
      );
    });
  }

  /** What a backup cannot be read without. */
  #stands({ id, type, parent, keys }: Manifest, ref: ManifestRef, ids: ReadonlySet<string>): void {
    if (type !== 'full' && (parent === null || !ids.has(parent))) {
      const message = `${id} continues ${parent ?? 'nothing'}, which is not there.`;
      this.#faults.push({ object: ref.name, code: 'HF_REPLICA_CHAIN', message });
    }
    for (const [tenant, { tenantKey }] of Object.entries(keys)) {
      const name = keyName(tenant, tenantKey);
      if (this.#keys.has(name)) continue;
      const message = `${id} needs ${name}, which is not there or not sound.`;
      this.#faults.push({ object: ref.name, code: 'HF_KEY_MISSING', message });
    }
  }

  async #note(object: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const fault = error instanceof IntegrityError || (error instanceof KeyError && error.code === 'HF_KEY_WRONG');
      if (!fault) throw error;
      const { code, message } = error as HoldfastError;
      this.#faults.push({ object, code, message });
    }
  }
}
