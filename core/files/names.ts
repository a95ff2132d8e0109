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

/** `mark`: of one of several processes that make pages for a run. */
export const pageName = (tenant: string, run: string, number: number, mark?: string): string =>
  `${PAGES}${pathOfTenant(tenant)}/${run}/${padded(number)}${mark === undefined ? '' : `-${mark}`}.hf`;

export const manifestFolder = (tenant: string | null): string => `${MANIFESTS}${scopeOf(tenant)}/`;
export const manifestName = (tenant: string | null, run: string): string => `${manifestFolder(tenant)}${run}.json`;

export const noteFolder = (tenant: string | null): string => `${NOTES}${scopeOf(tenant)}/`;
/** `of`: what the note is of; numbers alone where one process makes the whole run. */
export const noteName = (tenant: string | null, run: string, number: number, of = ''): string =>
  `${noteFolder(tenant)}${run}/${of}${padded(number)}.json`;

/** What a run that is made in items is to look at. */
export const planName = (tenant: string | null, run: string): string => `${noteFolder(tenant)}${run}/${PLAN}`;
const PLAN = 'plan.json';
export const isPlan = (name: string): boolean => name.endsWith(`/${PLAN}`);

/** Notes of what an item has read so far. */
export const itemPrefix = (item: number): string => `item-${padded(item)}-`;
/** The one that says that all of it is done. */
export const itemName = (tenant: string | null, run: string, item: number): string =>
  `${noteFolder(tenant)}${run}/item-${padded(item)}.json`;
/** The item of a note; undefined when it is of a whole run. */
export const itemOfNote = (name: string): number | undefined => {
  const [, number] = /\/item-(\d+)[^/]*\.json$/.exec(name) ?? [];
  return number === undefined ? undefined : Number(number);
};

const padded = (number: number): string => String(number).padStart(6, '0');

/** The run that a manifest is of. */
export const runOfManifest = (name: string): string => name.slice(name.lastIndexOf('/') + 1, -'.json'.length);

/** The run that a page or a note stands under. */
export const runOf = (name: string): string => name.split('/').at(-2)!;

/** `20261121T085752123Z-files-9f3ac1` from an ISO 8601 time. */
export function newRunId(startedAt: string): string {
  const time = startedAt.replace(/[-:.]/g, '').replace(/\d{3}Z$/, 'Z');
  return `${time}-files-${randomBytes(3).toString('hex')}`;
}
