/** Validation of one object: its size, then (deep) its bytes, slab by slab, and where exactly they are damaged. */
import { createHash } from 'node:crypto';
import { HoldfastError, IntegrityError } from '../errors.ts';
import type { ObjectStore, PersonKeyStore } from '../ports.ts';
import type { Fault } from './faults.ts';
import type { Keyring } from './keyring.ts';
import type { ManifestRef } from './manifest.ts';
import { checkRows, personKeys } from './readSlab.ts';
import { locateDamage, openSlab } from './slab.ts';
import type { Manifest, ManifestObject, ManifestSlab } from './types.ts';

/** Slabs are small and many: this much is read in one request. */
const WINDOW = 8 << 20;

export interface DeepCheck {
  readonly store: ObjectStore;
  readonly persons: PersonKeyStore;
  readonly keyring: Keyring;
  readonly manifest: Manifest;
  readonly refs: readonly ManifestRef[];
  /** The manifest behind a ref, or undefined when that one is damaged itself. */
  readonly openManifest: (ref: ManifestRef) => Promise<Manifest | undefined>;
  readonly faults: Fault[];
  readonly counted: { rows: number; opened: number; erased: number };
  /** Tenants whose key was found missing or wrong, and reported. */
  readonly badTenants: Set<string>;
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

export async function validateObject(
  check: DeepCheck,
  object: ManifestObject,
  size: number | undefined,
  deep: boolean,
): Promise<void> {
  const { name, size: expected } = object;
  if (size === undefined) {
    check.faults.push({ kind: 'missing', object: name, expected: `${expected} bytes`, got: 'no such object' });
    return;
  }
  const damaged: ManifestSlab[] = [];
  if (deep) {
    for await (const { slab, bytes } of slabsOf(check.store, object, Math.min(size, expected))) {
      if (sha256(bytes) === slab.sha256) await openSound(check, object, slab, bytes);
      else damaged.push(slab);
    }
  }
  // Only where nothing fits is it worth asking what else this could be.
  if (size !== expected || (damaged.length > 0 && damaged.length === object.slabs.length)) {
    const origin = await wholeOrigin(check, object, size);
    if (origin) {
      const range = { offset: 0, length: Math.max(size, expected) };
      check.faults.push({ ...origin, object: name, range, expected: object.sha256 });
      return;
    }
  }
  const sized = { object: name, expected: `${expected} bytes`, got: `${size} bytes` };
  if (size < expected)
    check.faults.push({ kind: 'truncated', ...sized, range: { offset: size, length: expected - size } });
  if (size > expected)
    check.faults.push({ kind: 'extended', ...sized, range: { offset: expected, length: size - expected } });
  for (const slab of damaged) await describeDamage(check, object, slab);
}

/** Slabs that lie whole inside the first `size` bytes. */
async function* slabsOf(store: ObjectStore, object: ManifestObject, size: number) {
  const { slabs, name } = object;
  for (let i = 0; i < slabs.length; ) {
    const first = slabs[i]!;
    let end = first.offset;
    let next = i;
    for (; next < slabs.length; next++) {
      const reach = slabs[next]!.offset + slabs[next]!.length;
      if (reach > size || (next > i && reach - first.offset > WINDOW)) break;
      end = reach;
    }
    if (next === i) return;
    const bytes = await store.get(name, { offset: first.offset, length: end - first.offset });
    for (; i < next; i++) {
      const slab = slabs[i]!;
      const from = slab.offset - first.offset;
      yield { slab, bytes: bytes.subarray(from, from + slab.length) };
    }
  }
}

async function describeDamage(check: DeepCheck, object: ManifestObject, slab: ManifestSlab): Promise<void> {
  const { manifest, keyring, faults } = check;
  const { tenant, offset, length } = slab;
  const bytes = await check.store.get(object.name, { offset, length });
  const got = sha256(bytes);
  const where = { object: object.name, expected: slab.sha256, got };
  const other = slabWithHash(manifest, got);
  if (other) {
    faults.push({ kind: 'swapped', ...where, range: { offset, length }, got: other });
    return;
  }
  let ranges: { offset: number; length: number }[] = [];
  if (!check.badTenants.has(tenant)) {
    const persons = (refs: readonly string[]) => check.persons.lookup(tenant, refs);
    const backupKey = await keyring.backupKey(manifest, tenant);
    ranges = await locateDamage(bytes, { backupKey, expect: placeOf(manifest, object, slab), persons });
  }
  for (const part of ranges.length > 0 ? ranges : [{ offset: 0, length }]) {
    faults.push({ kind: 'corrupt', ...where, range: { offset: offset + part.offset, length: part.length } });
  }
}

/** Opens a slab whose bytes are as they were written: only keys, or the writer, can be at fault. */
async function openSound(check: DeepCheck, object: ManifestObject, slab: ManifestSlab, bytes: Buffer): Promise<void> {
  const { manifest, keyring, counted } = check;
  const { tenant, offset, length } = slab;
  if (check.badTenants.has(tenant)) return;
  const persons = async (refs: readonly string[]) => {
    const keys = await personKeys(check, tenant, refs);
    counted.opened += keys.size;
    counted.erased += refs.length - keys.size;
    return keys;
  };
  try {
    const backupKey = await keyring.backupKey(manifest, tenant);
    const { sections } = await openSlab(bytes, { backupKey, expect: placeOf(manifest, object, slab), persons });
    checkRows(sections, object, slab);
    for (const { rows } of sections) counted.rows += rows;
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    const kind = error instanceof IntegrityError ? 'corrupt' : 'key';
    const range = { offset, length };
    check.faults.push({ kind, object: object.name, range, expected: 'content that opens', got: error.message });
  }
}

const placeOf = (manifest: Manifest, object: ManifestObject, slab: ManifestSlab) => {
  return { backup: manifest.id, tenant: slab.tenant, object: object.name, ordinal: object.slabs.indexOf(slab) };
};

function slabWithHash(manifest: Manifest, hash: string): string | undefined {
  for (const { name, slabs } of manifest.objects) {
    const ordinal = slabs.findIndex(({ sha256 }) => sha256 === hash);
    if (ordinal >= 0) return `slab ${ordinal} of ${name}`;
  }
  return undefined;
}

/** Whether the object as a whole is another intact object of this backup, or of another one in the store. */
async function wholeOrigin(
  check: DeepCheck,
  object: ManifestObject,
  size: number,
): Promise<Pick<Fault, 'kind' | 'got'> | undefined> {
  const hash = await hashObject(check.store, object.name, size);
  if (hash === object.sha256) return undefined;
  const here = check.manifest.objects.find(({ sha256 }) => sha256 === hash);
  if (here) return { kind: 'swapped', got: `the content of ${here.name}` };
  for (const ref of check.refs) {
    const other = ref.id === check.manifest.id ? undefined : await check.openManifest(ref);
    const there = other?.objects.find(({ sha256 }) => sha256 === hash);
    if (there) return { kind: 'foreign', got: `the content of ${there.name}` };
  }
  return undefined;
}

async function hashObject(store: ObjectStore, name: string, size: number): Promise<string> {
  const hash = createHash('sha256');
  for (let offset = 0; offset < size; offset += WINDOW) {
    hash.update(await store.get(name, { offset, length: Math.min(WINDOW, size - offset) }));
  }
  return hash.digest('hex');
}
