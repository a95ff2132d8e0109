/** The keys under which contents are sealed. */
import type { PersonKey } from '../ports.ts';
import { subkey } from '../snapshot/keyring.ts';
import { personKeys } from '../snapshot/readSlab.ts';
import type { Owner } from './content.ts';
import type { PageKeys } from './page.ts';
import type { FileEntry } from './types.ts';

type Sealed = Pick<FileEntry, 'person' | 'tenantKey'>;
/** undefined: the person was erased an instant ago. */
export type OwnerOf = (entry: Sealed) => Owner | undefined;

/** What seals contents that belong to no person. */
export const contentSubkey = (tenantKey: Buffer): Buffer => subkey(tenantKey, 'file-content');

/**
 * The owners of these entries of one tenant, asked for at once.
 * @throws KeyError HF_KEY_MISSING, HF_KEY_WRONG, HF_PERSON_KEY_UNKNOWN
 */
export async function ownersOf(reader: PageKeys, tenant: string, entries: readonly Sealed[]): Promise<OwnerOf> {
  const refs = [...new Set(entries.flatMap(({ person }) => (person === null ? [] : [person])))];
  const persons = refs.length > 0 ? await personKeys(reader, tenant, refs) : new Map<string, PersonKey>();
  const own = new Map<string, Buffer>();
  for (const id of new Set(entries.flatMap(({ tenantKey }) => (tenantKey === null ? [] : [tenantKey])))) {
    own.set(id, contentSubkey((await reader.keyring.tenantKeyById(tenant, id)).key));
  }
  return ({ person, tenantKey }) => {
    const key = person === null ? own.get(tenantKey!) : persons.get(person)?.key;
    return key && { tenant, person, key };
  };
}
