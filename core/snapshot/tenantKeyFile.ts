/** A tenant key as it stands in the store: wrapped by the root, and later perhaps by another root once more. */
import { IntegrityError } from '../errors.ts';
import type { KeyContext } from '../ports.ts';
import { checkVersion, documentBytes, parseDocument, pathOfTenant } from './store.ts';

const FORMAT = 'holdfast-tenant-key';
const VERSION = 1;

export interface TenantKeyOf {
  /** Id in the store's marker. */
  readonly store: string;
  readonly tenant: string;
  /** `00001`, counted per tenant. */
  readonly id: string;
}

/** Immutable; the highest id is the tenant's current key. */
export const keyName = (tenant: string, id: string): string => `keys/${pathOfTenant(tenant)}/${id}.json`;

/** The same key under another root. Apart from `keys/`, because it makes no new key current. */
export const rewrappedPrefix = (tenant: string, id: string): string => `rewrapped/${pathOfTenant(tenant)}/${id}-`;
export const rewrappedName = (tenant: string, id: string, rootKey: string): string =>
  `${rewrappedPrefix(tenant, id)}${pathOfTenant(rootKey)}.json`;

/** What a tenant key is wrapped under. */
export const tenantKeyContext = ({ store, tenant, id, rootKey }: TenantKeyOf & { rootKey: string }): KeyContext => {
  return { purpose: 'tenant-key', store, tenant, id, rootKey };
};

export const tenantKeyBytes = (of: TenantKeyOf & { rootKey: string }, wrapped: Buffer): Buffer =>
  documentBytes({ format: FORMAT, version: VERSION, ...of, wrapped: wrapped.toString('base64') });

/**
 * What an object of `keys/` or `rewrapped/` says of itself, whatever it is of.
 * @throws IntegrityError HF_OBJECT_MALFORMED, HF_FORMAT_UNKNOWN_VERSION
 */
export function readTenantKey(bytes: Buffer, name: string): TenantKeyOf & { rootKey: string; wrapped: Buffer } {
  const { format, version, store, tenant, id, rootKey, ...file } = parseDocument(bytes, name) as Record<string, string>;
  const wrapped = Buffer.from(file.wrapped ?? '', 'base64');
  // base64 has spare bits at its end, which a decoder ignores
  const named = store && tenant !== undefined && id && rootKey; // a tenant may have an empty name
  if (format !== FORMAT || !named || wrapped.toString('base64') !== file.wrapped) {
    throw new IntegrityError('HF_OBJECT_MALFORMED', `${name} is not a tenant key.`, {
      action: 'Bring this file back from another copy of the store.',
      details: { object: name },
    });
  }
  checkVersion(Number(version ?? 0), VERSION, name);
  return { store, tenant, id, rootKey, wrapped };
}

/** @throws IntegrityError HF_OBJECT_MALFORMED, HF_FORMAT_UNKNOWN_VERSION, HF_FOREIGN_OBJECT when it is another's */
export function parseTenantKey(
  bytes: Buffer,
  name: string,
  expected: TenantKeyOf,
): { rootKey: string; wrapped: Buffer } {
  const got = readTenantKey(bytes, name);
  if (got.store === expected.store && got.tenant === expected.tenant && got.id === expected.id) return got;
  throw new IntegrityError('HF_FOREIGN_OBJECT', `${name} is a key of another store, tenant or number.`, {
    action: 'Bring this file back from another copy of the store.',
    details: { object: name, expected: { ...expected }, got: { store: got.store, tenant: got.tenant, id: got.id } },
  });
}
