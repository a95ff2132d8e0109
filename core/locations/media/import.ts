/** Brings media back into a store: an empty one, which becomes the same store again, or the one that they were exported from. */
import { IntegrityError } from '../../errors.ts';
import type { KeyService, ObjectStore, PersonKeyStore, Progress } from '../../ports.ts';
import { type ReplicationReport, replicate } from '../replicate.ts';
import type { MediaManifest } from './manifest.ts';
import { verifyMedia } from './verify.ts';

/**
 * Verifies all of it first; media with a fault change nothing.
 * @throws IntegrityError HF_MEDIA_DAMAGED, which names the files; as `readMediaManifest`; StoreError HF_LOCATION_FOREIGN
 */
export async function importMedia(job: {
  readonly media: ObjectStore;
  readonly store: ObjectStore;
  readonly keys: KeyService;
  readonly persons: PersonKeyStore;
  readonly progress: Progress;
}): Promise<ReplicationReport> {
  const { media, store, keys, persons, progress } = job;
  const { manifest, faults } = await verifyMedia({ media, trust: keys, progress });
  if (faults.length > 0) {
    const more = faults.length > 1 ? `, and ${faults.length - 1} more` : '';
    throw new IntegrityError('HF_MEDIA_DAMAGED', `${media.description} is damaged: ${faults[0]!.message}${more}`, {
      action: 'Nothing was imported. "holdfast media verify" names every fault; use another copy of these media.',
      details: { faults },
    });
  }
  return replicate({ source: only(media, manifest), target: store, trust: keys, keys, persons, progress });
}

/** The media as far as their manifest names them: what somebody else put there is not seen. */
function only(media: ObjectStore, { files }: MediaManifest): ObjectStore {
  const named = new Set(files.map(({ name }) => name));
  const refuse = () => Promise.reject(new TypeError('media are only read'));
  return {
    description: media.description,
    get: (name, range) => media.get(name, range),
    head: async (name) => (named.has(name) ? media.head(name) : undefined),
    async *list(prefix) {
      for await (const found of media.list(prefix)) if (named.has(found.name)) yield found;
    },
    put: refuse,
    putStream: refuse,
    delete: refuse,
  };
}
