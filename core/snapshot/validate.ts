/** Validation: quick is signature, presence and sizes; deep is every byte, every frame, every capsule and every row count. */

import { HoldfastError } from '../errors.ts';
import { isAtOrAfter, parseSnapshot } from '../history/snapshots.ts';
import type { KeyService, ObjectStore, PersonKeyStore, Progress } from '../ports.ts';
import type { Fault, FaultKind, ValidationReport } from './faults.ts';
import { Keyring } from './keyring.ts';
import { checkManifest, listManifests, type ManifestRef } from './manifest.ts';
import { backupFolder, openStore } from './store.ts';
import { keyName } from './tenantKeyFile.ts';
import type { Manifest } from './types.ts';
import { type DeepCheck, validateObject } from './validateObject.ts';

export type { Fault, FaultKind, ValidationReport } from './faults.ts';

/** The part of a Context that validation needs: no database. */
export interface ValidationContext {
  readonly store: ObjectStore;
  readonly keys: KeyService;
  readonly persons: PersonKeyStore;
  readonly progress?: Progress;
}

/** One of several shares of a backup's objects, counted from 0, for several to validate at once. */
export interface ValidationPart {
  readonly number: number;
  readonly of: number;
}

/**
 * Validates one backup, by id or manifest. Faults are in the report; only a store or key that cannot be used at all throws.
 * @throws StoreError, KeyError, IntegrityError HF_STORE_MARKER
 */
export async function validate(
  ctx: ValidationContext,
  which: Manifest | ManifestRef | string,
  options: { deep?: boolean; part?: ValidationPart } = {},
): Promise<ValidationReport> {
  const { id: storeId } = await openStore(ctx);
  const refs = await listManifests(ctx.store);
  const id = typeof which === 'string' ? which : which.id;
  const faults: Fault[] = [];
  const manifest = await readOrNote(ctx, refs, id, storeId, faults);
  const report = {
    backup: id,
    deep: options.deep === true,
    slabs: 0,
    bytes: 0,
    rows: 0,
    chain: [id],
    extra: [],
    faults,
  };
  if (!manifest) return { ...report, objects: 0, capsules: { opened: 0, erased: 0 } };

  const check: DeepCheck = {
    store: ctx.store,
    persons: ctx.persons,
    keyring: new Keyring(ctx.store, ctx.keys, storeId),
    manifest,
    refs,
    openManifest: (ref) => readOrNote(ctx, refs, ref.id, storeId, []),
    faults,
    counted: { rows: 0, opened: 0, erased: 0 },
    badTenants: new Set(),
  };
  const stored = await sizes(ctx.store, backupFolder(id));
  await checkKeys(check);
  ctx.progress?.start(`validate ${id}`, manifest.totals.bytes, 'bytes');
  const { part } = options;
  const objects = manifest.objects.filter((_, index) => !part || index % part.of === part.number);
  for (const object of objects) {
    await validateObject(check, object, stored.get(object.name), report.deep);
    ctx.progress?.advance(object.size);
  }
  ctx.progress?.done();
  const named = new Set(manifest.objects.map(({ name }) => name));
  const extra = [...stored].filter(([name]) => !named.has(name)).map(([object, size]) => ({ object, size }));
  const { rows, ...capsules } = check.counted;
  return {
    ...report,
    objects: objects.length,
    slabs: objects.reduce((sum, { slabs }) => sum + slabs.length, 0),
    bytes: objects.reduce((sum, { size }) => sum + size, 0),
    rows,
    capsules,
    extra,
    chain: await checkChain(ctx, refs, manifest, storeId, faults),
  };
}

/** Reports for every manifest in the store, in order of time. */
export async function* validateAll(
  ctx: ValidationContext,
  options: { deep?: boolean; tenant?: string | null } = {},
): AsyncGenerator<ValidationReport> {
  for (const ref of await listManifests(ctx.store, options)) yield validate(ctx, ref, options);
}

const KIND: Readonly<Record<string, FaultKind>> = {
  HF_OBJECT_MISSING: 'missing',
  HF_OBJECT_MALFORMED: 'corrupt',
  HF_FORMAT_UNKNOWN_VERSION: 'version',
  HF_MANIFEST_SIGNATURE: 'signature',
  HF_FOREIGN_OBJECT: 'foreign',
  HF_KEY_WRONG: 'key',
  HF_KEY_MISSING: 'missing',
};

async function readOrNote(
  ctx: ValidationContext,
  refs: readonly ManifestRef[],
  id: string,
  storeId: string,
  faults: Fault[],
): Promise<Manifest | undefined> {
  const named = refs.filter((ref) => ref.id === id);
  const [ref] = named;
  if (!ref) {
    faults.push({ kind: 'missing', object: `manifests/*/${id}.json`, expected: 'a manifest', got: 'none' });
    return undefined;
  }
  for (const extra of named.slice(1)) {
    const range = { offset: 0, length: extra.size };
    faults.push({ kind: 'foreign', object: extra.name, range, expected: `only ${ref.name}`, got: 'a second manifest' });
  }
  try {
    return await checkManifest(ctx.keys, await ctx.store.get(ref.name), ref.name, storeId);
  } catch (error) {
    const kind = error instanceof HoldfastError ? KIND[error.code] : undefined;
    if (!kind) throw error;
    faults.push({ kind, object: ref.name, expected: 'a sound manifest', got: (error as Error).message });
    return undefined;
  }
}

async function sizes(store: ObjectStore, prefix: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for await (const { name, size } of store.list(prefix)) found.set(name, size);
  return found;
}

/** Unwraps each tenant's backup key: a quick validation also promises that the keys at hand are the right ones. */
async function checkKeys({ keyring, manifest, faults, badTenants }: DeepCheck): Promise<void> {
  for (const [tenant, { tenantKey }] of Object.entries(manifest.keys)) {
    try {
      await keyring.backupKey(manifest, tenant);
    } catch (error) {
      const kind = error instanceof HoldfastError ? KIND[error.code] : undefined;
      if (!kind) throw error;
      badTenants.add(tenant);
      const object = keyName(tenant, tenantKey);
      faults.push({ kind, object, expected: `the key of ${tenant}`, got: (error as Error).message });
    }
  }
}

/** Ids from the full that this backup stands on to itself. */
async function checkChain(
  ctx: ValidationContext,
  refs: readonly ManifestRef[],
  manifest: Manifest,
  storeId: string,
  faults: Fault[],
): Promise<string[]> {
  const chain = [manifest.id];
  for (let child = manifest; child.type !== 'full'; ) {
    const broken = (expected: string, got: string) => {
      faults.push({ kind: 'chain', object: `manifests/*/${child.parent ?? child.id}.json`, expected, got });
    };
    if (child.parent === null || chain.includes(child.parent)) {
      broken(`a chain from ${manifest.id} to a full`, `${child.id}, which continues nothing`);
      break;
    }
    const parent: Manifest | undefined = await readOrNote(ctx, refs, child.parent, storeId, faults);
    if (!parent) break;
    if (parent.epoch !== child.epoch) broken(`epoch ${child.epoch}`, parent.epoch);
    else if (!isAtOrAfter(parseSnapshot(parent.log.to), parseSnapshot(child.log.from)))
      broken(`a log that reaches ${child.log.from}`, parent.log.to);
    chain.unshift(parent.id);
    child = parent;
  }
  return chain;
}
