/**
 * Tenant keys live in the store, wrapped by the root; backup keys live in the manifest, wrapped by the tenant key. The
 * key service is called once per tenant and run, never per object.
 */
import { randomBytes } from 'node:crypto';
import { HoldfastError, IntegrityError, KeyError } from '../errors.ts';
import type { KeyContext, KeyService, ObjectStore } from '../ports.ts';
import { derive } from './seal.ts';
import { checkVersion, documentBytes, parseDocument, pathOfTenant } from './store.ts';
import type { Manifest } from './types.ts';
import { unwrapKey, wrapKey } from './wrap.ts';

const KEY_FORMAT = 'holdfast-tenant-key';
const KEY_VERSION = 1;

/** `keys/<tenant>/<id>.json`: immutable; the highest id is the current key. */
interface TenantKeyFile {
  readonly format: typeof KEY_FORMAT;
  readonly version: number;
  readonly store: string;
  readonly tenant: string;
  readonly id: string;
  readonly rootKey: string;
  /** base64 */
  readonly wrapped: string;
}

export interface TenantKey {
  /** `00001`, counted per tenant. */
  readonly id: string;
  /** 256 bits; only ever used to derive keys for one purpose each (`subkey`). */
  readonly key: Buffer;
}

/** A key for one purpose out of a tenant key. */
export const subkey = (tenantKey: Buffer, purpose: string): Buffer =>
  derive(tenantKey, Buffer.alloc(0), `holdfast-tenant-1/${purpose}`);

const tenantKeyContext = (store: string, tenant: string, id: string, rootKey: string): KeyContext => {
  return { purpose: 'tenant-key', store, tenant, id, rootKey };
};
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

  /** A new key for one backup of one tenant, and its entry for `manifest.keys`. */
  async newBackupKey(backup: string, tenant: string): Promise<{ key: Buffer; entry: Manifest['keys'][string] }> {
    const { id, key: tenantKey } = await this.tenantKey(tenant);
    const key = randomBytes(32);
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
    const rootKey = this.#keys.rootKeyId;
    const { plaintext, wrapped } = await this.#keys.generate(tenantKeyContext(this.#storeId, tenant, id, rootKey));
    const file: TenantKeyFile = {
      format: KEY_FORMAT,
      version: KEY_VERSION,
      store: this.#storeId,
      tenant,
      id,
      rootKey,
      wrapped: wrapped.toString('base64'),
    };
    try {
      await this.#store.put(keyName(tenant, id), documentBytes(file));
    } catch (error) {
      // Another run made it first: there is one key, and it is theirs.
      if (error instanceof HoldfastError && error.code === 'HF_OBJECT_EXISTS') return this.tenantKeyById(tenant, id);
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
    const file = parseDocument(bytes, name) as Partial<TenantKeyFile>;
    const wrapped = Buffer.from(file.wrapped ?? '', 'base64');
    // base64 has spare bits at its end, which a decoder ignores
    if (file.format !== KEY_FORMAT || !file.rootKey || wrapped.toString('base64') !== file.wrapped) {
      throw new IntegrityError('HF_OBJECT_MALFORMED', `${name} is not a tenant key.`, {
        action: 'Bring this file back from another copy of the store.',
        details: { object: name },
      });
    }
    checkVersion(file.version ?? 0, KEY_VERSION, name);
    if (file.store !== this.#storeId || file.tenant !== tenant || file.id !== id) {
      throw new IntegrityError('HF_FOREIGN_OBJECT', `${name} is a key of another store, tenant or number.`, {
        action: 'Bring this file back from another copy of the store.',
        details: { object: name, expected: { store: this.#storeId, tenant, id }, got: file.tenant },
      });
    }
    const context = tenantKeyContext(this.#storeId, tenant, id, file.rootKey);
    return { id, key: await this.#keys.unwrap(wrapped, context) };
  }
}

/** Where a tenant's key stands in the store. */
export const keyName = (tenant: string, id: string) => `keys/${pathOfTenant(tenant)}/${id}.json`;

/** Runs `make` once per key, also for callers that ask at the same time; a failure is not remembered. */
function remember<T>(cache: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = cache.get(key);
  if (known) return known;
  const promise = make();
  cache.set(key, promise);
  promise.catch(() => cache.delete(key));
  return promise;
}
