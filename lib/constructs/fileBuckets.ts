import { Aws } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Settings } from '../../core/datamap/settings.ts';
import { SynthError } from '../synthError.ts';
import type { Handler } from './handler.ts';

/** Buckets of users' files, which are the application's own: read, and never made or changed by these stacks. */
export interface FileBuckets {
  /** Where in which bucket; '' is all of it. */
  readonly places: readonly { readonly bucket: string; readonly prefix: string }[];
  /** ARNs of the customer keys under which they are encrypted. @default none: S3's own */
  readonly keyArns?: readonly string[];
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/**
 * What `files:` of holdfast.yaml names.
 *
 * @returns undefined when it names none
 * @throws SynthError for a folder, for another service than S3, and for keys without a bucket
 */
export function fileBuckets(
  { files }: Pick<Settings, 'files'>,
  keyArns: readonly string[] = [],
): FileBuckets | undefined {
  const places = files.map(({ name, from }) => {
    const url = URL.canParse(from) ? new URL(from) : undefined;
    const elsewhere = ['endpoint', 'profile'].some((option) => url?.searchParams.has(option));
    if (url?.protocol !== 's3:' || !BUCKET.test(url.hostname) || elsewhere) {
      throw new SynthError(`files.${name}.from`, 'a bucket that functions reach, like s3://my-uploads/voice', from);
    }
    const prefix = decodeURIComponent(url.pathname.slice(1));
    return { bucket: url.hostname, prefix: prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/` };
  });
  if (places.length > 0) return { places, ...(keyArns.length > 0 ? { keyArns } : {}) };
  if (keyArns.length > 0) throw new SynthError('filesKeyArns', 'none, as holdfast.yaml names no files', keyArns);
  return undefined;
}

/** To read the files. Listing the bucket is what lets S3 say of a file that it is not there, rather than that it may not be seen. */
export function grantFiles({ function: grantee }: Handler, { places, keyArns = [] }: FileBuckets): void {
  const arn = (bucket: string) => `arn:${Aws.PARTITION}:s3:::${bucket}`;
  const allow = (action: string, resources: readonly string[], conditions?: Record<string, unknown>) => {
    if (resources.length === 0) return;
    const statement = { actions: [action], resources: [...new Set(resources)], ...(conditions ? { conditions } : {}) };
    grantee.addToRolePolicy(new PolicyStatement(statement));
  };
  allow(
    's3:GetObject',
    places.map(({ bucket, prefix }) => `${arn(bucket)}/${prefix}*`),
  );
  allow(
    's3:ListBucket',
    places.map(({ bucket }) => arn(bucket)),
  );
  allow('kms:Decrypt', keyArns, { StringLike: { 'kms:ViaService': 's3.*.amazonaws.com*' } });
}
