/**
 * Tenant keys live in the store, wrapped by the root; backup keys live in the manifest, wrapped by the tenant key. The
 * key service is called once per tenant and run, never per object.
 */
import { type HoldfastError, isCode, KeyError } from '../errors.ts';
import type { KeyContext, KeyService, ObjectStore } from '../ports.ts';
import { derive } from './seal.ts';
import { pathOfTenant } from './store.ts';
import { keyName, parseTenantKey, rewrappedPrefix, tenantKeyBytes, tenantKeyContext } from './tenantKeyFile.ts';
import type { Manifest } from './types.ts';
import { unwrapKey, wrapKey } from './wrap.ts';

export interface TenantKey {
  /** `00001`, counted per tenant. */
  readonly id: string;
  /** 256 bits; only ever used to derive keys for one purpose each (`subkey`). */
  readonly key: Buffer;
}

/** A key for one purpose out of a tenant key. */
export const subkey = (tenantKey: Buffer, purpose: string): Buffer =>
  derive(tenantKey, Buffer.alloc(0), `holdfast-tenant-1/${purpose}`);

const backupKeyContext = (backup: string, tenant: string, tenantKey: string): KeyContext => {
  return { purpose: 'backup-key', backup, tenant, tenantKey };
};

export class Keyring {
  readonly #store: ObjectStore;
  readonly #keys: KeyService;
  readonly #storeId: string;
  readonly #current = new Map<string, Promise<TenantKey>>();
  readonly #byId = new Map<string, Promise<TenantKey>>();

  /** `storeId` is the id in the store's marker. */
  constructor(store: ObjectStore, keys: KeyService, storeId: string) {
    this.#store = store;
    this.#keys = keys;
    this.#storeId = storeId;
  }

  /** The tenant's current key, made when there is none. */
  tenantKey(tenant: string): Promise<TenantKey> {
    return remember(this.#current, tenant, () => this.#findOrMake(tenant));
  }

  /** @throws KeyError HF_KEY_MISSING, HF_KEY_WRONG */
  tenantKeyById(tenant: string, id: string): Promise<TenantKey> {
    return remember(this.#byId, `${id}/${tenant}`, () => this.#read(tenant, id));
  }

  /**
   * The key for one backup of one tenant, and an entry for `manifest.keys`. It follows from the tenant key and the backup's id, so
   * that all who work on one backup at once have the same; each entry wraps it anew.
   */
  async newBackupKey(backup: string, tenant: string): Promise<{ key: Buffer; entry: Manifest['keys'][string] }> {
    const { id, key: tenantKey } = await this.tenantKey(tenant);
    const key = derive(subkey(tenantKey, 'backup-key-of'), Buffer.from(backup), `holdfast-backup-key-1/${tenant}`);
    const wrapped = wrapKey(subkey(tenantKey, 'backup-key'), key, backupKeyContext(backup, tenant, id));
    return { key, entry: { tenantKey: id, wrapped: wrapped.toString('base64') } };
  }

  /** The key of a tenant's slabs in a backup. @throws KeyError HF_KEY_MISSING, HF_KEY_WRONG */
  async backupKey(manifest: Pick<Manifest, 'id' | 'keys'>, tenant: string): Promise<Buffer> {
    const entry = Object.hasOwn(manifest.keys, tenant) ? manifest.keys[tenant] : undefined;
    if (!entry) {
      throw new KeyError('HF_KEY_MISSING', `Backup ${manifest.id} holds no key for tenant ${tenant}.`, {
        action: 'Choose a backup that covers this tenant.',
        details: { backup: manifest.id, tenant },
      });
    }
    return this.unwrapBackupKey(manifest.id, tenant, entry);
  }

  /** The same for an entry that is not in a manifest yet, as a resumed backup has it. */
  async unwrapBackupKey(backup: string, tenant: string, entry: Manifest['keys'][string]): Promise<Buffer> {
    const { id, key: tenantKey } = await this.tenantKeyById(tenant, entry.tenantKey);
    const wrapped = Buffer.from(entry.wrapped, 'base64');
    const key = unwrapKey(subkey(tenantKey, 'backup-key'), wrapped, backupKeyContext(backup, tenant, id));
    if (key) return key;
    throw new KeyError('HF_KEY_WRONG', `The key of backup ${backup} for ${tenant} was not wrapped by key ${id}.`, {
      action: 'The store mixes files of different stores: restore its keys/ folder from another copy.',
      details: { backup, tenant, tenantKey: id },
    });
  }

  async #findOrMake(tenant: string): Promise<TenantKey> {
    let newest: string | undefined;
    for await (const { name } of this.#store.list(`keys/${pathOfTenant(tenant)}/`)) newest = name;
    return newest ? this.tenantKeyById(tenant, newest.slice(newest.lastIndexOf('/') + 1, -5)) : this.#make(tenant);
  }

  async #make(tenant: string): Promise<TenantKey> {
    const id = '00001';
    const of = { store: this.#storeId, tenant, id, rootKey: this.#keys.rootKeyId };
    const { plaintext, wrapped } = await this.#keys.generate(tenantKeyContext(of));
    try {
      await this.#store.put(keyName(tenant, id), tenantKeyBytes(of, wrapped));
    } catch (error) {
      // Another run made it first: there is one key, and it is theirs.
      if (isCode(error, 'HF_OBJECT_EXISTS')) return this.tenantKeyById(tenant, id);
      throw error;
    }
    const made = { id, key: plaintext };
    this.#byId.set(`${id}/${tenant}`, Promise.resolve(made));
    return made;
  }

  async #read(tenant: string, id: string): Promise<TenantKey> {
    const name = keyName(tenant, id);
    const bytes = await this.#store.get(name).catch((cause) => {
      if ((cause as HoldfastError).code !== 'HF_OBJECT_MISSING') throw cause;
      throw new KeyError('HF_KEY_MISSING', `Key ${id} of tenant ${tenant} is not in ${this.#store.description}.`, {
        cause,
        action: `Bring back ${name} from another copy of the store; without it this tenant's backups cannot be read.`,
        details: { tenant, object: name },
      });
    });
    try {
      return { id, key: await this.#unwrap(bytes, name, tenant, id) };
    } catch (error) {
      if (!(error instanceof KeyError)) throw error;
      const key = await this.#rewrapped(tenant, id);
      if (key) return { id, key };
      throw error;
    }
  }

  /** When the root that wrapped a key first is gone, one that it was wrapped with later may still be there. */
  async #rewrapped(tenant: string, id: string): Promise<Buffer | undefined> {
    for await (const { name } of this.#store.list(rewrappedPrefix(tenant, id))) {
      try {
        return await this.#unwrap(await this.#store.get(name), name, tenant, id);
      } catch (error) {
        if (!(error instanceof KeyError)) throw error; // of another root that is gone too; the next may do
      }
    }
    return undefined;
  }

  #unwrap(bytes: Buffer, name: string, tenant: string, id: string): Promise<Buffer> {
    const { rootKey, wrapped } = parseTenantKey(bytes, name, { store: this.#storeId, tenant, id });
    return this.#keys.unwrap(wrapped, tenantKeyContext({ store: this.#storeId, tenant, id, rootKey }));
  }
}

/** Runs `make` once per key, also for callers that ask at the same time; a failure is not remembered. */
function remember<T>(cache: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = cache.get(key);
  if (known) return known;
  const promise = make();
  cache.set(key, promise);
  promise.catch(() => cache.delete(key));
  return promise;
}
