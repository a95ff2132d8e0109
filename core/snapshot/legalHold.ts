/** Legal holds stand in the store, beside what they protect, so that they hold when the catalog is gone. */
import type { ObjectStore } from '../ports.ts';
import { documentBytes } from './store.ts';

const FOLDER = 'holds/';

/** Backups that must not be removed, whatever retention says. */
export async function holdsInStore(store: ObjectStore): Promise<Set<string>> {
  const held = new Set<string>();
  for await (const { name } of store.list(FOLDER)) held.add(name.slice(FOLDER.length, -'.json'.length));
  return held;
}

/** Puts a backup under legal hold. Its chain is kept with it. Doing it again changes nothing. */
export async function holdBackup(store: ObjectStore, backup: string, reason: string, since: string): Promise<void> {
  const name = `${FOLDER}${backup}.json`;
  if (!(await store.head(name))) await store.put(name, documentBytes({ backup, reason, since }));
}

export const releaseBackup = (store: ObjectStore, backup: string): Promise<void> =>
  store.delete(`${FOLDER}${backup}.json`);
