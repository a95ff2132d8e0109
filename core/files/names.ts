/** Names of file backups inside a store. */
import { randomBytes } from 'node:crypto';
import { pathOfTenant } from '../snapshot/store.ts';

export const CONTENT = 'files/content/';
export const PAGES = 'files/pages/';
export const MANIFESTS = 'files/manifests/';
export const NOTES = 'files/progress/';

const scopeOf = (tenant: string | null): string => (tenant === null ? '_database' : pathOfTenant(tenant));

export const contentName = (tenant: string, address: string): string =>
  `${CONTENT}${pathOfTenant(tenant)}/${address.slice(0, 2)}/${address}.hff`;

export const pageName = (tenant: string, run: string, number: number): string =>
  `${PAGES}${pathOfTenant(tenant)}/${run}/${String(number).padStart(6, '0')}.hf`;

export const manifestFolder = (tenant: string | null): string => `${MANIFESTS}${scopeOf(tenant)}/`;
export const manifestName = (tenant: string | null, run: string): string => `${manifestFolder(tenant)}${run}.json`;

export const noteFolder = (tenant: string | null): string => `${NOTES}${scopeOf(tenant)}/`;
export const noteName = (tenant: string | null, run: string, number: number): string =>
  `${noteFolder(tenant)}${run}/${String(number).padStart(6, '0')}.json`;

/** The run that a manifest, a page or a note is of. */
export const runOfManifest = (name: string): string => name.slice(name.lastIndexOf('/') + 1, -'.json'.length);

/** `20261121T085752123Z-files-9f3ac1` from an ISO 8601 time. */
export function newRunId(startedAt: string): string {
  const time = startedAt.replace(/[-:.]/g, '').replace(/\d{3}Z$/, 'Z');
  return `${time}-files-${randomBytes(3).toString('hex')}`;
}
