/** `s3://bucket/prefix`, and a client for it. */
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { ConfigError } from '../../core/errors.ts';

export interface S3Location {
  readonly client: S3Client;
  readonly bucket: string;
  /** Ends in `/`, or is empty. */
  readonly prefix: string;
}

/**
 * `s3://bucket/prefix?endpoint=https://…&region=…&profile=…`. With an endpoint, buckets are addressed by path. Credentials come from
 * where the AWS SDK finds them (environment, role), or from that profile, where each of several places can have its own;
 * `config` overrides.
 * @throws ConfigError HF_STORE_URL
 */
export function s3Location(location: string, config: S3ClientConfig = {}): S3Location {
  const url = URL.canParse(location) ? new URL(location) : undefined;
  const endpoint = url?.searchParams.get('endpoint');
  const region = url?.searchParams.get('region');
  const profile = url?.searchParams.get('profile');
  if (url?.protocol !== 's3:' || !url.hostname || (endpoint && !URL.canParse(endpoint))) {
    throw new ConfigError('HF_STORE_URL', `${JSON.stringify(location)} does not name a place in S3.`, {
      action: 'Write it as s3://bucket/prefix, with ?endpoint=https://host&region=name for other services than AWS.',
    });
  }
  const client = new S3Client({
    ...(endpoint ? { endpoint, forcePathStyle: true, region: region ?? 'us-east-1' } : {}),
    ...(region ? { region } : {}),
    ...(profile ? { profile } : {}),
    maxAttempts: 5,
    ...config,
  });
  const prefix = decodeURIComponent(url.pathname.slice(1));
  return { client, bucket: url.hostname, prefix: prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/` };
}
