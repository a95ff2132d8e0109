/** Reading one slab by its range: a tenant comes out of a whole-database backup without the bytes of any other. */
import { createHash } from 'node:crypto';
import { IntegrityError, KeyError } from '../errors.ts';
import type { ObjectStore, PersonKey, PersonKeyStore } from '../ports.ts';
import type { Keyring } from './keyring.ts';
import { openSlab, openSplit, type SlabKeys, type SplitSlab } from './slab.ts';
import type { Manifest, ManifestObject, ManifestSlab, OpenSection } from './types.ts';

export interface SlabReader {
  readonly store: ObjectStore;
  readonly persons: PersonKeyStore;
  readonly keyring: Keyring;
}

/**
 * Every byte is checked against the signed manifest before anything is opened. `fetched` are the slab's bytes where the caller
 * has read them already, with those of its neighbours.
 * @throws IntegrityError HF_OBJECT_MISSING, HF_OBJECT_TRUNCATED, HF_SLAB_CORRUPT, HF_SLAB_MALFORMED
 * @throws KeyError HF_KEY_MISSING, HF_KEY_WRONG; HF_PERSON_KEY_UNKNOWN when a person's key is neither there nor erased
 */
export async function readSlab(
  reader: SlabReader,
  manifest: Pick<Manifest, 'id' | 'keys'>,
  object: ManifestObject,
  slab: ManifestSlab,
  fetched?: Buffer,
): Promise<{ snapshot: string; sections: OpenSection[] }> {
  const { bytes, keys } = await fetchSlab(reader, manifest, object, slab, fetched);
  const opened = await openSlab(bytes, keys);
  checkRows(opened.sections, object, slab);
  return opened;
}

/** The same with the halves of its rows apart. */
export async function readSplitSlab(
  reader: SlabReader,
  manifest: Pick<Manifest, 'id' | 'keys'>,
  object: ManifestObject,
  slab: ManifestSlab,
): Promise<SplitSlab> {
  const { bytes, keys } = await fetchSlab(reader, manifest, object, slab);
  const opened = await openSplit(bytes, keys);
  checkRows(opened.sections, object, slab);
  return opened;
}

async function fetchSlab(
  reader: SlabReader,
  manifest: Pick<Manifest, 'id' | 'keys'>,
  object: ManifestObject,
  slab: ManifestSlab,
  fetched?: Buffer,
): Promise<{ bytes: Buffer; keys: SlabKeys }> {
  const { offset, length, tenant } = slab;
  const bytes = fetched ?? (await reader.store.get(object.name, { offset, length }));
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
  return { bytes, keys: { backupKey, expect, persons: (refs) => personKeys(reader, tenant, refs) } };
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

export function checkRows(
  sections: readonly Pick<OpenSection, 'table' | 'rows'>[],
  object: ManifestObject,
  slab: ManifestSlab,
): void {
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
