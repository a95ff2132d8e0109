/** Reading one slab by its range: a tenant comes out of a whole-database backup without the bytes of any other. */
import { createHash } from 'node:crypto';
import { IntegrityError, KeyError } from '../errors.ts';
import type { ObjectStore, PersonKey, PersonKeyStore } from '../ports.ts';
import type { Keyring } from './keyring.ts';
import { openSlab } from './slab.ts';
import type { Manifest, ManifestObject, ManifestSlab, OpenSection } from './types.ts';

export interface SlabReader {
  readonly store: ObjectStore;
  readonly persons: PersonKeyStore;
  readonly keyring: Keyring;
}

/**
 * Every byte is checked against the signed manifest before anything is opened.
 * @throws IntegrityError HF_OBJECT_MISSING, HF_OBJECT_TRUNCATED, HF_SLAB_CORRUPT, HF_SLAB_MALFORMED
 * @throws KeyError HF_KEY_MISSING, HF_KEY_WRONG; HF_PERSON_KEY_UNKNOWN when a person's key is neither there nor erased
 */
export async function readSlab(
  reader: SlabReader,
  manifest: Pick<Manifest, 'id' | 'keys'>,
  object: ManifestObject,
  slab: ManifestSlab,
): Promise<{ snapshot: string; sections: OpenSection[] }> {
  const { offset, length, tenant } = slab;
  const bytes = await reader.store.get(object.name, { offset, length });
  const got = createHash('sha256').update(bytes).digest('hex');
  if (got !== slab.sha256) {
    throw new IntegrityError(
      'HF_SLAB_CORRUPT',
      `Bytes ${offset} to ${offset + length} of ${object.name} are damaged.`,
      {
        action: 'Run "holdfast validate --deep" on this backup, and restore from another copy or another backup.',
        details: { object: object.name, tenant, offset, length, expected: slab.sha256, got },
      },
    );
  }
  const expect = { backup: manifest.id, tenant, object: object.name, ordinal: object.slabs.indexOf(slab) };
  const backupKey = await reader.keyring.backupKey(manifest, tenant);
  const opened = await openSlab(bytes, { backupKey, expect, persons: (refs) => personKeys(reader, tenant, refs) });
  checkRows(opened.sections, object, slab);
  return opened;
}

/** Keys of the persons who have one. A lost key store must not look like an erasure, so absence is asked about. */
export async function personKeys(
  reader: Pick<SlabReader, 'persons'>,
  tenant: string,
  refs: readonly string[],
): Promise<Map<string, PersonKey>> {
  const keys = await reader.persons.lookup(tenant, refs);
  for (const ref of refs) {
    if (keys.has(ref) || (await reader.persons.state(tenant, ref)) === 'erased') continue;
    throw new KeyError(
      'HF_PERSON_KEY_UNKNOWN',
      `Person ${ref} of tenant ${tenant} has no key here, and was not erased.`,
      {
        action: 'Point to the person key store that this backup was made with, or bring it back from its replica.',
        details: { tenant, ref },
      },
    );
  }
  return keys;
}

export function checkRows(sections: readonly OpenSection[], object: ManifestObject, slab: ManifestSlab): void {
  const counted: Record<string, number> = {};
  for (const { table, rows } of sections) counted[table] = (counted[table] ?? 0) + rows;
  const names = new Set([...Object.keys(slab.rows), ...Object.keys(counted)]);
  for (const table of names) {
    const expected = slab.rows[table] ?? 0;
    const got = counted[table] ?? 0;
    if (expected === got) continue;
    throw new IntegrityError('HF_SLAB_MALFORMED', `${object.name} holds ${got} rows of ${table}, not ${expected}.`, {
      action: 'The writer of this backup was at fault: restore from another backup, and report this.',
      details: { object: object.name, offset: slab.offset, table, expected, got },
    });
  }
}
