/** Manifests of file backups: written last and signed, so a run is there as a whole or not at all. */
import { IntegrityError } from '../errors.ts';
import type { KeyService, ObjectStore, Trust } from '../ports.ts';
import { signedBytes } from '../snapshot/canonical.ts';
import { checkVersion, documentBytes, openStore, parseDocument } from '../snapshot/store.ts';
import { MANIFESTS, manifestFolder, manifestName, runOfManifest } from './names.ts';
import { FILES_FORMAT, FILES_VERSION, type FileManifest } from './types.ts';

type StoreAndKeys = { readonly store: ObjectStore; readonly keys: KeyService };

export interface FileManifestRef {
  readonly id: string;
  readonly name: string;
}

/** Signs and writes: after this the run exists. All its objects must be durable already. */
export async function writeFileManifest(
  ctx: StoreAndKeys,
  unsigned: Omit<FileManifest, 'signature'>,
): Promise<FileManifest> {
  const manifest = { ...unsigned, signature: await ctx.keys.sign(signedBytes(unsigned)) };
  await ctx.store.put(manifestName(manifest.tenant, manifest.id), documentBytes(manifest));
  return manifest;
}

/** Runs by id, so in order of time. With a tenant: those of that tenant alone, and those of all. */
export async function listFileManifests(store: ObjectStore, tenant?: string): Promise<FileManifestRef[]> {
  const refs: FileManifestRef[] = [];
  for (const folder of tenant === undefined ? [MANIFESTS] : [manifestFolder(null), manifestFolder(tenant)]) {
    for await (const { name } of store.list(folder)) {
      if (name.endsWith('.json')) refs.push({ id: runOfManifest(name), name });
    }
  }
  return refs.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/**
 * Reads and checks a manifest: form, version, signature, place.
 * @throws IntegrityError HF_OBJECT_MISSING, HF_OBJECT_MALFORMED, HF_FORMAT_UNKNOWN_VERSION, HF_MANIFEST_SIGNATURE,
 * HF_FOREIGN_OBJECT
 */
export async function readFileManifest(
  ctx: { readonly store: ObjectStore; readonly keys: Trust },
  name: string,
  storeId: string,
): Promise<FileManifest> {
  const manifest = parseDocument(await ctx.store.get(name), name) as FileManifest;
  if (manifest.format !== FILES_FORMAT || !manifest.signature || typeof manifest.tenants !== 'object') {
    throw new IntegrityError('HF_OBJECT_MALFORMED', `${name} is not the manifest of a file backup.`, {
      action: 'Bring this file back from another copy of the store.',
      details: { object: name, expected: FILES_FORMAT, got: manifest.format },
    });
  }
  checkVersion(manifest.version, FILES_VERSION, name);
  await checkSignature(ctx.keys, manifest, name);
  if (manifest.store !== storeId || manifestName(manifest.tenant, manifest.id) !== name) {
    throw new IntegrityError('HF_FOREIGN_OBJECT', `${name} holds the manifest of ${manifest.id} in another place.`, {
      action: 'Remove this file, and bring back the right one from another copy of the store.',
      details: { object: name, expected: { store: storeId }, got: { store: manifest.store, id: manifest.id } },
    });
  }
  return Object.freeze(manifest);
}

/** The run of that id, or undefined when there is none. Same errors. */
export async function findFileManifest(ctx: StoreAndKeys, id: string): Promise<FileManifest | undefined> {
  const found = (await listFileManifests(ctx.store)).find((ref) => ref.id === id);
  return found && readFileManifest(ctx, found.name, (await openStore(ctx)).id);
}

/** @throws IntegrityError HF_MANIFEST_SIGNATURE */
export async function checkSignature(
  keys: Trust,
  document: { readonly signature: FileManifest['signature'] },
  name: string,
): Promise<void> {
  const { value, keyId } = document.signature;
  // base64 has spare bits at its end, which a decoder ignores
  const exact = Buffer.from(value, 'base64').toString('base64') === value;
  if (exact && (await keys.verify(signedBytes(document), document.signature))) return;
  throw new IntegrityError('HF_MANIFEST_SIGNATURE', `The signature of ${name} does not hold.`, {
    action:
      'It was changed after it was written, or signed by a key that is not at hand: bring it back from another copy of the ' +
      'store, or use the key file that the backup was made with.',
    details: { object: name, signedBy: keyId },
  });
}

/** Whether a run looked at the files of a tenant, were there any or not. */
export const covers = (manifest: FileManifest, tenant: string): boolean =>
  manifest.tenant === null || manifest.tenant === tenant;
