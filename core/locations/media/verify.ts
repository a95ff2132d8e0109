/** Are media what was exported, every byte of them, and can every backup on them be restored from them alone? */
import { HoldfastError, IntegrityError } from '../../errors.ts';
import { readFileManifest } from '../../files/manifest.ts';
import { MANIFESTS } from '../../files/names.ts';
import { type ObjectStore, type Progress, silentProgress, type Trust } from '../../ports.ts';
import { inParallel } from '../../restore/inParallel.ts';
import { checkManifest } from '../../snapshot/manifest.ts';
import { readMarker } from '../../snapshot/store.ts';
import { keyName } from '../../snapshot/tenantKeyFile.ts';
import { checkObject } from '../copyObject.ts';
import type { DocumentFault } from '../replicate.ts';
import { MEDIA, type MediaManifest, readMediaManifest } from './manifest.ts';

const AT_ONCE = 2;

export interface MediaVerdict {
  readonly manifest: MediaManifest;
  readonly bytes: number;
  readonly faults: readonly DocumentFault[];
  /** Files that the manifest does not name: of an export that was cut short, or put there by somebody. Nothing reads them. */
  readonly extra: readonly string[];
}

/** @throws as `readMediaManifest`, and StoreError when the media cannot be read at all */
export async function verifyMedia(job: {
  readonly media: ObjectStore;
  readonly trust: Trust;
  readonly progress?: Progress;
}): Promise<MediaVerdict> {
  const { media, trust, progress = silentProgress } = job;
  const manifest = await readMediaManifest(media, trust);
  const faults: DocumentFault[] = [];
  const there = new Map<string, number>();
  for await (const { name, size } of media.list('')) if (!name.startsWith(MEDIA)) there.set(name, size);
  const bytes = manifest.files.reduce((sum, { size }) => sum + size, 0);
  progress.start('Verifying', bytes, 'bytes');
  await inParallel(manifest.files, AT_ONCE, async (file) => {
    const got = there.get(file.name);
    there.delete(file.name);
    try {
      if (got !== file.size) throw wrongSize(file, got);
      await checkObject(media, file.name, file, progress);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      faults.push({ object: file.name, code: error.code, message: error.message });
    }
  });
  progress.done();
  if (faults.length === 0) faults.push(...(await incomplete(media, trust, manifest)));
  return { manifest, bytes, faults, extra: [...there.keys()] };
}

function wrongSize({ name, size }: { name: string; size: number }, got: number | undefined): IntegrityError {
  const action = 'Use another copy of these media.';
  if (got === undefined) return new IntegrityError('HF_OBJECT_MISSING', `${name} is not on the media.`, { action });
  const code = got < size ? 'HF_OBJECT_TRUNCATED' : 'HF_OBJECT_CORRUPT';
  return new IntegrityError(code, `${name} has ${got} bytes on the media, and should have ${size}.`, { action });
}

/** The files are those that were signed; that they are all that a restore needs is said by the backups themselves. */
async function incomplete(media: ObjectStore, trust: Trust, { store, files, backups }: MediaManifest) {
  const faults: DocumentFault[] = [];
  const digests = new Map(files.map(({ name, sha256 }) => [name, sha256]));
  const marker = await readMarker(media, trust);
  if (marker.id !== store) {
    faults.push({
      object: 'holdfast-store.json',
      code: 'HF_FOREIGN_OBJECT',
      message: 'The marker is of another store.',
    });
  }
  for (const { name } of files) {
    if (name.startsWith(MANIFESTS)) {
      const { tenants } = await readFileManifest({ store: media, keys: trust }, name, store);
      for (const { object, sha256 } of Object.values(tenants).flat()) {
        if (digests.get(object) === sha256) continue;
        faults.push({ object: name, code: 'HF_OBJECT_MISSING', message: `${name} needs ${object}.` });
      }
    }
    if (!name.startsWith('manifests/')) continue;
    const { id, type, parent, objects, keys } = await checkManifest(trust, await media.get(name), name, store);
    const lack = (code: string, message: string) => faults.push({ object: name, code, message });
    if (type !== 'full' && (parent === null || !backups.includes(parent))) {
      lack('HF_REPLICA_CHAIN', `${id} continues ${parent ?? 'nothing'}, which is not on the media.`);
    }
    for (const object of objects) {
      if (digests.get(object.name) !== object.sha256) lack('HF_OBJECT_MISSING', `${id} needs ${object.name}.`);
    }
    for (const [tenant, { tenantKey }] of Object.entries(keys)) {
      if (!digests.has(keyName(tenant, tenantKey)))
        lack('HF_KEY_MISSING', `${id} needs ${keyName(tenant, tenantKey)}.`);
    }
  }
  return faults;
}
