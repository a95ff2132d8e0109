/** Names inside a store, and the marker that gives a store its identity. */
import { createHash, randomBytes } from 'node:crypto';
import { IntegrityError, isCode, KeyError, StoreError } from '../errors.ts';
import type { KeyService, ObjectStore, PublicKey, Signature, Trust } from '../ports.ts';
import { canonicalJson, signedBytes } from './canonical.ts';
import { SHARED } from './types.ts';

export const MARKER = 'holdfast-store.json';
const STORE_FORMAT = 'holdfast-store';
const STORE_VERSION = 1;

/** `holdfast-store.json`: written once, before anything else. */
export interface StoreMarker {
  readonly format: typeof STORE_FORMAT;
  readonly version: number;
  /** 32 hex digits; every manifest and tenant key names it. */
  readonly id: string;
  readonly createdAt: string;
  /** For readers without the key service: the keys that manifests were signed with when the store was made. */
  readonly verificationKeys: readonly PublicKey[];
  /** Over the canonical JSON of everything else. */
  readonly signature: Signature;
}

/**
 * A tenant's name as part of a path. Lower-case letters, digits and inner `_` and `-` stay; every other byte of its UTF-8 is
 * `%xx`, so that no name can leave its folder, and two names that differ only in case stay apart on every file system.
 * Names that would be longer than 200 bytes are cut and end in `~` and their SHA-256.
 */
export function pathOfTenant(tenant: string): string {
  if (tenant === SHARED) return SHARED;
  let path = '';
  for (const byte of Buffer.from(tenant)) {
    const character = String.fromCharCode(byte);
    const plain = path === '' ? /[a-z0-9]/ : /[a-z0-9_-]/;
    path += plain.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`;
  }
  if (path.length <= 200) return path || '%';
  return `${path.slice(0, 120)}~${createHash('sha256').update(tenant).digest('hex')}`;
}

export const backupFolder = (backup: string): string => `backups/${backup}/`;

/** `backups/<id>/chunk-00001.hf`, `…/log-00001.hf`, `…/schema.hf`; with a mark, `…/chunk-9f3ac1-00001.hf` */
export function objectName(backup: string, kind: 'chunk' | 'log' | 'schema', number?: number, mark?: string): string {
  const parts = [kind, ...(mark === undefined ? [] : [mark])];
  if (number !== undefined) parts.push(String(number).padStart(5, '0'));
  return `${backupFolder(backup)}${parts.join('-')}.hf`;
}

/** `undefined`: all manifests. null: those of whole-database backups. */
export function manifestFolder(tenant: string | null | undefined): string {
  if (tenant === undefined) return 'manifests/';
  return tenant === null ? 'manifests/_database/' : `manifests/${pathOfTenant(tenant)}/`;
}

export const manifestName = (tenant: string | null, backup: string): string =>
  `${manifestFolder(tenant)}${backup}.json`;

/**
 * Reads the marker, or makes it with `create`. Two writers that meet on an empty store end with the same marker.
 * @throws StoreError HF_STORE_UNKNOWN when there is none and `create` is not set
 * @throws IntegrityError HF_STORE_MARKER, HF_FORMAT_UNKNOWN_VERSION; KeyError HF_KEY_WRONG
 */
export async function openStore(
  ctx: { readonly store: ObjectStore; readonly keys: KeyService },
  options: { create?: boolean } = {},
): Promise<StoreMarker> {
  const { store, keys } = ctx;
  if (!(await store.head(MARKER))) {
    if (!options.create) {
      throw new StoreError('HF_STORE_UNKNOWN', `There is no Holdfast store in ${store.description}.`, {
        action: 'Check the path or the bucket and prefix; a first backup makes the store.',
      });
    }
    try {
      await store.put(MARKER, documentBytes(await newMarker(keys)));
    } catch (error) {
      if (!isCode(error, 'HF_OBJECT_EXISTS')) throw error;
    }
  }
  return readMarker(store, keys);
}

/** The marker of a store that is there, checked by public keys alone. Same errors, and IntegrityError HF_OBJECT_MISSING. */
export const readMarker = async (store: ObjectStore, trust: Trust): Promise<StoreMarker> =>
  checkMarker(await store.get(MARKER), trust, store.description);

async function newMarker(keys: KeyService): Promise<StoreMarker> {
  const unsigned = {
    format: STORE_FORMAT,
    version: STORE_VERSION,
    id: randomBytes(16).toString('hex'),
    createdAt: new Date().toISOString(),
    verificationKeys: await keys.publicKeys(),
  } as const;
  return { ...unsigned, signature: await keys.sign(signedBytes(unsigned)) };
}

async function checkMarker(bytes: Buffer, keys: Trust, description: string): Promise<StoreMarker> {
  const damaged = (cause?: unknown) =>
    new IntegrityError('HF_STORE_MARKER', `${MARKER} in ${description} is not a sound store marker.`, {
      cause,
      action: 'Bring this file back from another copy of the store, or point to the right place.',
      details: { object: MARKER },
    });
  let marker: StoreMarker;
  try {
    marker = parseDocument(bytes, MARKER) as StoreMarker;
  } catch (error) {
    throw damaged(error);
  }
  if (marker?.format !== STORE_FORMAT || !/^[0-9a-f]{32}$/.test(marker.id) || !marker.signature) throw damaged();
  checkVersion(marker.version, STORE_VERSION, MARKER);
  if (await keys.verify(signedBytes(marker), marker.signature)) return Object.freeze(marker);
  const known = (await keys.publicKeys()).map(({ keyId }) => keyId);
  if (known.includes(marker.signature.keyId)) throw damaged();
  throw new KeyError('HF_KEY_WRONG', `The store in ${description} was made with another root of trust.`, {
    action: `Use the key file or key service that holds ${marker.signature.keyId}.`,
    details: { expected: marker.signature.keyId, got: known },
  });
}

/** How Holdfast writes its small JSON objects: one way only, so that every changed byte is noticed. */
export const documentBytes = (value: object): Buffer => Buffer.from(`${canonicalJson(value)}\n`);

/** @throws IntegrityError HF_OBJECT_MALFORMED when it is not JSON, or is not written the way `documentBytes` does */
export function parseDocument(bytes: Buffer, name: string): unknown {
  const value = parseJson(bytes, name);
  if (value !== null && typeof value === 'object' && documentBytes(value).equals(bytes)) return value;
  throw new IntegrityError('HF_OBJECT_MALFORMED', `${name} was changed: it is not canonical JSON.`, {
    action: 'Bring this file back from another copy of the store.',
    details: { object: name },
  });
}

function parseJson(bytes: Buffer, name: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new IntegrityError('HF_OBJECT_MALFORMED', `${name} is not JSON: ${(cause as Error).message}.`, {
      cause,
      action: 'Restore this file from another copy of the store.',
      details: { object: name },
    });
  }
}

/** @throws IntegrityError HF_FORMAT_UNKNOWN_VERSION */
export function checkVersion(got: number, known: number, name: string): void {
  if (got === known) return;
  throw new IntegrityError(
    'HF_FORMAT_UNKNOWN_VERSION',
    `${name} has version ${got} of its format; this Holdfast reads version ${known}.`,
    { action: 'Use the release of Holdfast that wrote it, or a newer one.', details: { object: name, got, known } },
  );
}
