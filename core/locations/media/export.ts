/** Writes backups to media that are taken away: encrypted as they are, with all that is needed to read them but the keys. */
import { createHash } from 'node:crypto';
import { StoreError } from '../../errors.ts';
import { CONTENT, MANIFESTS, PAGES } from '../../files/names.ts';
import { formatMoment, type Moment } from '../../moment.ts';
import type { Clock, KeyService, ObjectStore, PersonKeyStore, Progress } from '../../ports.ts';
import { checkManifest, listManifests } from '../../snapshot/manifest.ts';
import { MARKER, pathOfTenant } from '../../snapshot/store.ts';
import { SHARED } from '../../snapshot/types.ts';
import { digestOf } from '../copyObject.ts';
import { KEY_FOLDERS, SIDE_FOLDERS } from '../document.ts';
import { type ReplicationReport, replicate } from '../replicate.ts';
import { since } from '../select.ts';
import {
  MEDIA,
  type MediaFile,
  type MediaManifest,
  makeMediaManifest,
  mediaManifestName,
  newestMediaManifest,
  readMediaManifest,
  sumsName,
} from './manifest.ts';
import { README } from './readme.ts';

export interface MediaExport {
  readonly store: ObjectStore;
  /** Where they are mounted: empty, or of an earlier export of the same store and scope, which is added to. */
  readonly media: ObjectStore;
  readonly keys: KeyService;
  readonly persons: PersonKeyStore;
  readonly clock: Clock;
  readonly progress: Progress;
  /** Only backups of this tenant alone. @default all */
  readonly tenant?: string | undefined;
  /** Only backups that were finished since then, and what they stand on. @default all */
  readonly since?: Moment | undefined;
  readonly label?: string | undefined;
}

export interface ExportReport extends ReplicationReport {
  /** Name of the manifest on the media. */
  readonly manifest: string;
  /** All that is on them, from earlier exports too. */
  readonly backups: readonly string[];
  readonly fileCount: number;
  readonly totalBytes: number;
}

/** @throws StoreError HF_MEDIA_TAKEN, HF_MEDIA_NOTHING, HF_LOCATION_FOREIGN, HF_STORE_FULL, …; as `replicate` */
export async function exportMedia(job: MediaExport): Promise<ExportReport> {
  const { store, media, keys, tenant } = job;
  const earlier = await earlierOn(job);
  const choose = since(job);
  const from = job.since === undefined ? '' : formatMoment(job.since);
  const report = await replicate({
    source: store,
    target: media,
    trust: keys,
    keys,
    persons: job.persons,
    progress: job.progress,
    select(facts) {
      const chosen = choose(facts);
      if (chosen.size === 0) throw nothing(job);
      return chosen;
    },
    documents: (name) => tenant === undefined || isOf(tenant, name),
    files: (run) => (tenant === undefined || run.tenant === tenant) && run.finishedAt >= from,
  });
  const { files, backups } = await inventory(media, keys, report.store, earlier);
  const createdAt = formatMoment(job.clock.now());
  const about = { store: report.store, createdAt, label: job.label ?? null, tenant: tenant ?? null, backups, files };
  const bytes = await makeMediaManifest(keys, about);
  const manifest = mediaManifestName(createdAt);
  if (!(await media.head(`${MEDIA}README.txt`))) await media.put(`${MEDIA}README.txt`, Buffer.from(README));
  const sums = [...files, { name: manifest, sha256: sha256(bytes) }].map((f) => `${f.sha256}  ${f.name}\n`).join('');
  await media.put(sumsName(createdAt), Buffer.from(sums));
  await media.put(manifest, bytes);
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
  return { ...report, manifest, backups, fileCount: files.length, totalBytes };
}

/** The manifest of an earlier export to the same media, which must be of the same scope. */
async function earlierOn({ media, keys, tenant }: MediaExport): Promise<MediaManifest | undefined> {
  if (!(await newestMediaManifest(media))) return undefined;
  const earlier = await readMediaManifest(media, keys);
  if (earlier.tenant === (tenant ?? null)) return earlier;
  const scope = (of: string | null) => (of === null ? 'all tenants' : `tenant ${of}`);
  throw new StoreError('HF_MEDIA_TAKEN', `${media.description} has an export of ${scope(earlier.tenant)}.`, {
    action: `Take other media, or another directory, for ${scope(tenant ?? null)}.`,
    details: { expected: tenant ?? null, got: earlier.tenant },
  });
}

function nothing({ store, tenant }: MediaExport): StoreError {
  const whose = tenant === undefined ? '' : ` of tenant ${tenant} alone`;
  return new StoreError('HF_MEDIA_NOTHING', `${store.description} has no backup${whose} to export, or none so new.`, {
    action:
      tenant === undefined
        ? 'Take a backup first, or choose an earlier --since.'
        : 'Make one first, from the database with "holdfast backup -t", or from the backups of all tenants with "holdfast synthetic -t".',
    details: { tenant: tenant ?? null },
  });
}

/** Backups of one tenant need its keys, and those of what belongs to nobody, in which the schema is sealed. */
function isOf(tenant: string, name: string): boolean {
  const [folder, of] = name.split('/');
  if (folder === 'keys' || folder === 'rewrapped') return of === pathOfTenant(tenant) || of === SHARED;
  return false;
}

/**
 * Every file on the media. Digests of backup objects are those that were verified while they were copied; users' files are read, but
 * for those of an earlier export.
 */
async function inventory(media: ObjectStore, keys: KeyService, storeId: string, earlier: MediaManifest | undefined) {
  const files: MediaFile[] = [];
  const backups: string[] = [];
  const read = async (name: string): Promise<Buffer> => {
    const bytes = await media.get(name);
    files.push({ name, size: bytes.length, sha256: sha256(bytes) });
    return bytes;
  };
  await read(MARKER);
  for (const folder of [...KEY_FOLDERS, ...SIDE_FOLDERS]) {
    for await (const { name } of media.list(folder)) await read(name);
  }
  for (const ref of await listManifests(media)) {
    const manifest = await checkManifest(keys, await read(ref.name), ref.name, storeId);
    backups.push(manifest.id);
    for (const { name, size, sha256: digest } of manifest.objects) files.push({ name, size, sha256: digest });
  }
  const known = new Map(earlier?.files.map((file) => [file.name, file]));
  for (const folder of [CONTENT, PAGES, MANIFESTS]) {
    for await (const { name, size } of media.list(folder)) {
      const before = known.get(name);
      files.push(before?.size === size ? before : { name, size, sha256: await digestOf(media, name, size) });
    }
  }
  files.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { files, backups };
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
