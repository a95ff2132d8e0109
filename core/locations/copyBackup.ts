/** Copying one backup: every object, each verified, and then its manifest, byte for byte. */
import { IntegrityError, isCode, KeyError } from '../errors.ts';
import type { ObjectStore, Trust } from '../ports.ts';
import { inParallel } from '../restore/inParallel.ts';
import { checkManifest, type ManifestRef } from '../snapshot/manifest.ts';
import { backupFolder } from '../snapshot/store.ts';
import { keyName } from '../snapshot/tenantKeyFile.ts';
import type { Manifest, ManifestObject } from '../snapshot/types.ts';
import { sizesUnder } from './compare.ts';
import { checkObject, copyObject, isLocking, readFrom } from './copyObject.ts';

/** Objects under way at once: each holds two windows of 8 MiB at most. */
const AT_ONCE = 3;

export interface BackupCopy {
  readonly source: ObjectStore;
  readonly target: ObjectStore;
  readonly storeId: string;
  readonly trust: Trust;
  /** Names of the tenant keys that the target has: a backup that needs another is not copied. */
  readonly keys: ReadonlySet<string>;
  readonly advance: (bytes: number) => void;
}

export interface CopiedBackup {
  readonly id: string;
  readonly tenant: string | null;
  /** Copied now; the others were there, from a run that was killed. */
  readonly objects: number;
  readonly bytes: number;
  /** The target had its manifest, but lacked objects. */
  readonly repaired: boolean;
}

/**
 * @param listed whether the target has the manifest already: then only what it lacks is put back
 * @throws IntegrityError for a fault of the source, or HF_REPLICA_DIFFERS when the target holds other bytes under the name;
 * KeyError HF_KEY_MISSING; StoreError of the target; ReadFailed
 */
export async function copyBackup(copy: BackupCopy, ref: ManifestRef, listed: boolean): Promise<CopiedBackup> {
  const { source, target } = copy;
  const bytes = await readFrom(source, ref.name);
  const manifest = await checkManifest(copy.trust, bytes, ref.name, copy.storeId);
  mustHaveKeys(copy, manifest);
  const folder = backupFolder(manifest.id);
  const [here, there] = await Promise.all([sizesUnder(source, folder), sizesUnder(target, folder)]);
  let copied = { objects: 0, bytes: 0 };
  await inParallel(manifest.objects, AT_ONCE, async (object) => {
    const size = there.get(object.name);
    if (size === undefined) {
      mustBeWhole(source, object, here.get(object.name));
      await copyObject(source, target, object.name, object, { advance: copy.advance });
      copied = { objects: copied.objects + 1, bytes: copied.bytes + object.size };
      return;
    }
    // Behind a manifest it was verified when it came; before one, a killed run may have left anything.
    if (listed && size === object.size) return;
    await mustBeSame(target, object);
    if (isLocking(target)) await target.lock(object.name);
    copy.advance(object.size);
  });
  if (!listed) await putManifest(target, ref.name, bytes);
  return { id: manifest.id, tenant: manifest.tenant, ...copied, repaired: listed };
}

function mustHaveKeys({ keys, target }: BackupCopy, manifest: Manifest): void {
  for (const [tenant, { tenantKey }] of Object.entries(manifest.keys)) {
    const name = keyName(tenant, tenantKey);
    if (keys.has(name)) continue;
    throw new KeyError(
      'HF_KEY_MISSING',
      `Backup ${manifest.id} needs ${name}, which did not get to ${target.description}.`,
      {
        action: 'Mend that key at the source, from another copy of the store; then run it again.',
        details: { backup: manifest.id, tenant, object: name },
      },
    );
  }
}

function mustBeWhole(source: ObjectStore, { name, size }: ManifestObject, got: number | undefined): void {
  if (got === size) return;
  const details = { object: name, expected: size, got };
  const action = 'Bring it back from another copy of the store. It was not copied from here.';
  if (got === undefined) {
    throw new IntegrityError('HF_OBJECT_MISSING', `${name} is not in ${source.description}.`, { action, details });
  }
  const message = `${name} in ${source.description} has ${got} bytes, and should have ${size}.`;
  throw new IntegrityError(got < size ? 'HF_OBJECT_TRUNCATED' : 'HF_OBJECT_CORRUPT', message, { action, details });
}

async function mustBeSame(target: ObjectStore, object: ManifestObject): Promise<void> {
  try {
    await checkObject(target, object.name, object);
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    throw differs(target, object.name, error);
  }
}

async function putManifest(target: ObjectStore, name: string, bytes: Buffer): Promise<void> {
  try {
    await target.put(name, bytes);
  } catch (error) {
    if (!isCode(error, 'HF_OBJECT_EXISTS')) throw error;
    if (!(await target.get(name)).equals(bytes)) throw differs(target, name, error); // else another run was first
  }
}

/** Something stands under this name at the target that is not what the source has; nothing is ever overwritten. */
export function differs(target: ObjectStore, name: string, cause?: unknown): IntegrityError {
  return new IntegrityError('HF_REPLICA_DIFFERS', `${name} in ${target.description} is not what the source has.`, {
    cause,
    action: `Find out why. Where that copy is the damaged one, remove ${name} there, and run it again.`,
    details: { object: name },
  });
}
