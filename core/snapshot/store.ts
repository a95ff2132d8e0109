/** Names inside a store, and the marker that gives a store its identity. */
import { createHash, randomBytes } from 'node:crypto';
import { HoldfastError, IntegrityError, StoreError } from '../errors.ts';
import type { KeyService, ObjectStore, PublicKey } from '../ports.ts';
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

/** `backups/<id>/chunk-00001.hf`, `…/log-00001.hf`, `…/schema.hf` */
export function objectName(backup: string, kind: 'chunk' | 'log' | 'schema', number?: number): string {
  return `${backupFolder(backup)}${kind}${number === undefined ? '' : `-${String(number).padStart(5, '0')}`}.hf`;
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
 */
export async function openStore(
  ctx: { readonly store: ObjectStore; readonly keys: KeyService },
  options: { create?: boolean } = {},
): Promise<StoreMarker> {
  const { store } = ctx;
  if (!(await store.head(MARKER))) {
    if (!options.create) {
      throw new StoreError('HF_STORE_UNKNOWN', `There is no Holdfast store in ${store.description}.`, {
        action: 'Check the path or the bucket and prefix; a first backup makes the store.',
      });
    }
    const marker: StoreMarker = {
      format: STORE_FORMAT,
      version: STORE_VERSION,
      id: randomBytes(16).toString('hex'),
      createdAt: new Date().toISOString(),
      verificationKeys: await ctx.keys.publicKeys(),
    };
    try {
      await store.put(MARKER, Buffer.from(`${JSON.stringify(marker, null, 2)}\n`));
    } catch (error) {
      if (!(error instanceof HoldfastError && error.code === 'HF_OBJECT_EXISTS')) throw error;
    }
  }
  return parseMarker(await store.get(MARKER), store.description);
}

function parseMarker(bytes: Buffer, description: string): StoreMarker {
  const marker = parseJson(bytes, MARKER) as Partial<StoreMarker>;
  if (marker.format !== STORE_FORMAT || typeof marker.version !== 'number' || !/^[0-9a-f]{32}$/.test(marker.id ?? '')) {
    throw new IntegrityError('HF_STORE_MARKER', `${MARKER} in ${description} is not a Holdfast store marker.`, {
      action: 'Restore this file from another copy of the store, or point to the right place.',
    });
  }
  checkVersion(marker.version, STORE_VERSION, MARKER);
  return Object.freeze(marker as StoreMarker);
}

/** @throws IntegrityError HF_OBJECT_MALFORMED */
export function parseJson(bytes: Buffer, name: string): unknown {
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
