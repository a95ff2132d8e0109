/**
 * The manifest of exported media: every file with its size and digest, signed, written last. Media are laid out as a store, so they
 * can also be read as one. `media/` beside it is what makes them checkable anywhere: by Holdfast without a network, and by
 * `sha256sum -c` without Holdfast.
 */
import { IntegrityError, KeyError } from '../../errors.ts';
import type { KeyService, ObjectStore, PublicKey, Signature, Trust } from '../../ports.ts';
import { signedBytes } from '../../snapshot/canonical.ts';
import { checkVersion, documentBytes, parseDocument } from '../../snapshot/store.ts';

export const MEDIA = 'media/';
const FORMAT = 'holdfast-media';
const VERSION = 1;

export interface MediaFile {
  readonly name: string;
  readonly size: number;
  /** hex */
  readonly sha256: string;
}

export interface MediaManifest {
  readonly format: typeof FORMAT;
  readonly version: number;
  /** Id of the store that it was exported from. */
  readonly store: string;
  /** UTC, ISO 8601, to the microsecond. */
  readonly createdAt: string;
  /** What is written on the outside, such as a number of a tape. */
  readonly label: string | null;
  /** null: every tenant. */
  readonly tenant: string | null;
  readonly backups: readonly string[];
  /** All but those under `media/`, in the order of names. */
  readonly files: readonly MediaFile[];
  readonly verificationKeys: readonly PublicKey[];
  readonly signature: Signature;
}

const stamp = (createdAt: string): string => createdAt.replace(/[-:.]/g, '');
export const mediaManifestName = (createdAt: string): string => `${MEDIA}${stamp(createdAt)}.json`;
export const sumsName = (createdAt: string): string => `${MEDIA}${stamp(createdAt)}.sha256`;

export async function makeMediaManifest(
  keys: KeyService,
  about: Omit<MediaManifest, 'format' | 'version' | 'verificationKeys' | 'signature'>,
): Promise<Buffer> {
  const unsigned = { format: FORMAT, version: VERSION, ...about, verificationKeys: await keys.publicKeys() };
  return documentBytes({ ...unsigned, signature: await keys.sign(signedBytes(unsigned)) });
}

/** The newest, unchecked; undefined where an export never ended, or nothing was exported. */
export async function newestMediaManifest(media: ObjectStore): Promise<string | undefined> {
  let newest: string | undefined;
  for await (const { name } of media.list(MEDIA)) if (name.endsWith('.json')) newest = name;
  return newest;
}

/**
 * The newest manifest, checked: form, version, signature.
 * @throws IntegrityError HF_MEDIA_UNFINISHED, HF_OBJECT_MALFORMED, HF_FORMAT_UNKNOWN_VERSION, HF_MEDIA_SIGNATURE;
 * KeyError HF_MEDIA_FOREIGN when nobody who is trusted signed it
 */
export async function readMediaManifest(media: ObjectStore, trust: Trust): Promise<MediaManifest> {
  const name = await newestMediaManifest(media);
  if (!name) {
    throw new IntegrityError('HF_MEDIA_UNFINISHED', `There is no media manifest in ${media.description}.`, {
      action: 'Check the path. If the export was cut short, run it again: it goes on where it was.',
    });
  }
  const manifest = parseDocument(await media.get(name), name) as MediaManifest;
  if (manifest.format !== FORMAT || !Array.isArray(manifest.files) || !manifest.signature) {
    throw new IntegrityError('HF_OBJECT_MALFORMED', `${name} is not the manifest of exported media.`, {
      action: 'Use another copy of these media.',
      details: { object: name, expected: FORMAT, got: manifest.format },
    });
  }
  checkVersion(manifest.version, VERSION, name);
  if (await trust.verify(signedBytes(manifest), manifest.signature)) return Object.freeze(manifest);
  const known = (await trust.publicKeys()).map(({ keyId }) => keyId);
  if (known.includes(manifest.signature.keyId)) {
    throw new IntegrityError('HF_MEDIA_SIGNATURE', `The signature of ${name} in ${media.description} does not hold.`, {
      action: 'These media were changed after they were written. Use another copy of them.',
      details: { object: name, signedBy: manifest.signature.keyId },
    });
  }
  throw new KeyError(
    'HF_MEDIA_FOREIGN',
    `${media.description} was written by ${manifest.signature.keyId}, which is not trusted here.`,
    {
      action:
        'Use the key file, or the public keys, of the installation that exported it. If that is what you did, these are not its media.',
      details: { expected: known, got: manifest.signature.keyId },
    },
  );
}
