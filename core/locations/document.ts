/** The small documents of a store beside its backups: which there are, and how each is told from a damaged one. */
import { IntegrityError, KeyError } from '../errors.ts';
import type { KeyService, ObjectStore, Signature, Trust } from '../ports.ts';
import { signedBytes } from '../snapshot/canonical.ts';
import { parseDocument } from '../snapshot/store.ts';
import {
  keyName,
  readTenantKey,
  rewrappedName,
  rewrappedPrefix,
  type TenantKeyOf,
  tenantKeyContext,
} from '../snapshot/tenantKeyFile.ts';

/** Without these no backup can be read, so they are copied before any. */
export const KEY_FOLDERS = ['keys/', 'rewrapped/'] as const;
/** `proofs/` and `holds/` tell of backups, `seals/` of the trail. `progress/` stays behind: it tells of what is not finished. */
export const SIDE_FOLDERS = ['proofs/', 'holds/', 'seals/'] as const;

export interface DocumentCheck {
  readonly store: ObjectStore;
  /** Of the store's marker. */
  readonly storeId: string;
  readonly trust: Trust;
  /** Opens tenant keys, and so proves them; without it they are checked for shape and place only. */
  readonly keys?: KeyService | undefined;
}

/**
 * Whether the bytes are what their name says: signed ones by their signature, tenant keys by opening them.
 * @returns false when nothing here could prove it: a tenant key, and no root to open it with
 * @throws IntegrityError HF_OBJECT_MALFORMED, HF_FORMAT_UNKNOWN_VERSION, HF_FOREIGN_OBJECT, HF_DOCUMENT_SIGNATURE;
 * KeyError HF_KEY_WRONG, HF_KEY_UNAVAILABLE, …
 */
export async function checkDocument(check: DocumentCheck, name: string, bytes: Buffer): Promise<boolean> {
  if (name.startsWith('keys/') || name.startsWith('rewrapped/')) return checkTenantKey(check, name, bytes);
  const document = parseDocument(bytes, name) as { signature?: Signature; backup?: string };
  if (name.startsWith('holds/')) {
    if (name !== `holds/${document.backup}.json`) throw foreign(name, { backup: document.backup });
    return true;
  }
  const { signature } = document;
  if (signature && (await check.trust.verify(signedBytes(document), signature))) return true;
  throw new IntegrityError('HF_DOCUMENT_SIGNATURE', `The signature of ${name} does not hold.`, {
    action:
      'It was changed after it was written, or signed by a key that is not trusted here: bring it back from another copy.',
    details: { object: name, signedBy: signature?.keyId },
  });
}

async function checkTenantKey(check: DocumentCheck, name: string, bytes: Buffer): Promise<boolean> {
  const key = readTenantKey(bytes, name);
  const { store, tenant, id, rootKey } = key;
  const named = name === keyName(tenant, id) || name === rewrappedName(tenant, id, rootKey);
  if (store !== check.storeId || !named) throw foreign(name, { store, tenant, id });
  if (!check.keys) return false;
  try {
    await check.keys.unwrap(key.wrapped, tenantKeyContext(key));
    return true;
  } catch (error) {
    if (!(error instanceof KeyError) || error.code !== 'HF_KEY_WRONG') throw error;
    // A root that was taken out of service opens nothing any more. The key is safe while another root still opens it.
    if (rootKey !== check.keys.rootKeyId && (await opensOtherwise(check, key, name))) return false;
    throw error;
  }
}

async function opensOtherwise({ store, keys }: DocumentCheck, of: TenantKeyOf, name: string): Promise<boolean> {
  const names = [keyName(of.tenant, of.id)];
  for await (const found of store.list(rewrappedPrefix(of.tenant, of.id))) names.push(found.name);
  for (const other of names) {
    if (other === name) continue;
    try {
      const key = readTenantKey(await store.get(other), other);
      await keys!.unwrap(key.wrapped, tenantKeyContext(key));
      return true;
    } catch (error) {
      if (!(error instanceof KeyError || error instanceof IntegrityError)) throw error; // it is no better; the next may be
    }
  }
  return false;
}

const foreign = (name: string, got: Record<string, unknown>): IntegrityError =>
  new IntegrityError('HF_FOREIGN_OBJECT', `${name} is of another store, tenant, number or backup.`, {
    action: 'Remove this file, and bring back the right one from another copy of the store.',
    details: { object: name, got },
  });
