/** Manifests: the commit point of a backup, and the first thing that a reader trusts, once its signature holds. */
import { IntegrityError } from '../errors.ts';
import type { KeyService, ObjectStore, Trust } from '../ports.ts';
import { signedBytes } from './canonical.ts';
import { manifestShape } from './manifestShape.ts';
import { checkVersion, documentBytes, manifestFolder, manifestName, openStore, parseDocument } from './store.ts';
import { FORMAT, FORMAT_VERSION, type Manifest } from './types.ts';

type StoreAndKeys = { readonly store: ObjectStore; readonly keys: KeyService };

/** What a listing tells without reading the manifest. */
export interface ManifestRef {
  readonly id: string;
  /** Name of the manifest object. */
  readonly name: string;
  readonly size: number;
}

/** Signs and writes: after this the backup exists. All its objects must be durable already. */
export async function writeManifest(ctx: StoreAndKeys, unsigned: Omit<Manifest, 'signature'>): Promise<Manifest> {
  const manifest: Manifest = { ...unsigned, signature: await ctx.keys.sign(signedBytes(unsigned)) };
  manifestShape(manifest, manifestName(manifest.tenant, manifest.id));
  await ctx.store.put(manifestName(manifest.tenant, manifest.id), documentBytes(manifest));
  return manifest;
}

/**
 * Manifests by id, so in order of time, without reading them. `tenant` undefined: all; null: whole-database backups; a
 * name: backups of that tenant alone.
 */
export async function listManifests(
  store: ObjectStore,
  options: { tenant?: string | null } = {},
): Promise<ManifestRef[]> {
  const refs: ManifestRef[] = [];
  for await (const { name, size } of store.list(manifestFolder(options.tenant))) {
    if (name.endsWith('.json')) refs.push({ id: name.slice(name.lastIndexOf('/') + 1, -5), name, size });
  }
  return refs.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/**
 * Reads and checks one manifest: format, version, shape, signature, store, name. `which` is a ref or a backup id.
 * @throws IntegrityError HF_OBJECT_MISSING, HF_OBJECT_MALFORMED, HF_FORMAT_UNKNOWN_VERSION, HF_MANIFEST_SIGNATURE,
 * HF_FOREIGN_OBJECT
 */
export async function readManifest(
  ctx: StoreAndKeys,
  which: ManifestRef | string,
  options: { storeId?: string } = {},
): Promise<Manifest> {
  const { name } = typeof which === 'string' ? await findManifest(ctx.store, which) : which;
  const storeId = options.storeId ?? (await openStore(ctx)).id;
  return checkManifest(ctx.keys, await ctx.store.get(name), name, storeId);
}

export async function checkManifest(keys: Trust, bytes: Buffer, name: string, store: string): Promise<Manifest> {
  const parsed = parseDocument(bytes, name) as Partial<Manifest>;
  if (parsed.format !== FORMAT || typeof parsed.version !== 'number') {
    throw new IntegrityError('HF_OBJECT_MALFORMED', `${name} is not a Holdfast manifest.`, {
      action: 'Bring this file back from another copy of the store.',
      details: { object: name, expected: FORMAT, got: parsed.format },
    });
  }
  checkVersion(parsed.version, FORMAT_VERSION, name);
  const manifest = manifestShape(parsed, name);
  const { value } = manifest.signature;
  // base64 has spare bits at its end, which a decoder ignores
  const exact = Buffer.from(value, 'base64').toString('base64') === value;
  if (!exact || !(await keys.verify(signedBytes(manifest), manifest.signature))) {
    throw new IntegrityError('HF_MANIFEST_SIGNATURE', `The signature of ${name} does not hold.`, {
      action:
        'It was changed after it was written, or signed by a key that this key file does not have: bring it back from ' +
        'another copy, or use the key file that the backup was made with.',
      details: { object: name, signedBy: manifest.signature.keyId },
    });
  }
  if (manifest.store !== store || manifestName(manifest.tenant, manifest.id) !== name) {
    throw new IntegrityError('HF_FOREIGN_OBJECT', `${name} holds the manifest of ${manifest.id} in another place.`, {
      action: 'Remove this file, and bring back the right one from another copy of the store.',
      details: { object: name, expected: { store }, got: { store: manifest.store, id: manifest.id } },
    });
  }
  return Object.freeze(manifest);
}

async function findManifest(store: ObjectStore, id: string): Promise<ManifestRef> {
  const found = (await listManifests(store)).find((ref) => ref.id === id);
  if (found) return found;
  throw new IntegrityError('HF_OBJECT_MISSING', `There is no manifest of backup ${id} in ${store.description}.`, {
    action: 'List the backups of this store ("holdfast list"), and check the id.',
    details: { backup: id },
  });
}
