/** The versions of objects in a versioned bucket, object by object. */
import { ListObjectVersionsCommand, type ListObjectVersionsCommandOutput, type S3Client } from '@aws-sdk/client-s3';
import type { SourceVersion } from '../../core/files/source.ts';
import { momentFromDate } from '../../core/moment.ts';

/** S3 cuts its times to whole seconds. */
const SECOND = 1_000_000n;
/** The time of an upload in parts is that of its beginning. It is taken to have ended within a day. */
const UPLOAD = 86_400n * SECOND;

interface Found {
  readonly version: SourceVersion;
  readonly latest: boolean;
}

/**
 * Keys under a prefix in order, each with its versions, newest first. The service lists versions and delete markers apart: of
 * two of the same second it does not say which came first.
 */
export async function* s3Versions(
  client: S3Client,
  bucket: string,
  prefix: string,
): AsyncGenerator<{ key: string; versions: SourceVersion[] }> {
  let open = new Map<string, Found[]>();
  let page: ListObjectVersionsCommandOutput | undefined;
  do {
    page = await client.send(
      new ListObjectVersionsCommand({
        Bucket: bucket,
        Prefix: prefix,
        ...(page ? { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker } : {}),
      }),
    );
    for (const [key, found] of foundOn(page)) open.set(key, [...(open.get(key) ?? []), found]);
    // Versions of one key may stand on two pages.
    const unfinished = new Map<string, Found[]>();
    for (const [key, found] of open) {
      if (page.IsTruncated && key === page.NextKeyMarker) unfinished.set(key, found);
      else yield { key, versions: newestFirst(found) };
    }
    open = unfinished;
  } while (page.IsTruncated);
}

function* foundOn(page: ListObjectVersionsCommandOutput): Generator<[string, Found]> {
  for (const { Key, VersionId, Size = 0, ETag, LastModified, IsLatest = false } of page.Versions ?? []) {
    const seconds = Math.floor(LastModified!.getTime() / 1000);
    const from = range(seconds, /-\d+"?$/.test(ETag!) ? UPLOAD : SECOND);
    const version = { id: VersionId!, size: Size, deleted: false, token: `${ETag}-${Size}-${seconds}`, from };
    yield [Key!, { latest: IsLatest, version }];
  }
  for (const { Key, VersionId, LastModified, IsLatest = false } of page.DeleteMarkers ?? []) {
    const from = range(Math.floor(LastModified!.getTime() / 1000), SECOND);
    yield [Key!, { latest: IsLatest, version: { id: VersionId!, size: 0, deleted: true, token: '', from } }];
  }
}

function range(seconds: number, uncertain: bigint): SourceVersion['from'] {
  const earliest = momentFromDate(new Date(seconds * 1000));
  return { earliest, latest: earliest + uncertain };
}

/** Stable, so that those of one kind and second stay in the order in which the service lists them. */
const newestFirst = (found: Found[]): SourceVersion[] =>
  found
    .sort((a, b) => Number(b.latest) - Number(a.latest) || Number(b.version.from.earliest - a.version.from.earliest))
    .map(({ version }) => version);
