/** Copies that S3 makes by itself: how far they are, as the bucket that they are made from knows. */
import { HeadObjectCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { Replicas } from '../../core/ports.ts';
import { inParallel } from '../../core/restore/inParallel.ts';

/** S3 promises fifteen minutes with replication time control. */
const LATE_MS = 3_600_000;
const AT_ONCE = 32;

export interface S3ReplicasProps {
  /** `s3://bucket/prefix`, where backups are written. */
  readonly store: string | undefined;
  /** Where they are replicated to. @default nowhere */
  readonly replica: string | undefined;
  readonly config?: S3ClientConfig;
}

export class S3Replicas implements Replicas {
  readonly #props: S3ReplicasProps;

  constructor(props: S3ReplicasProps) {
    this.#props = props;
  }

  async state(names: readonly string[], since: number): Promise<'complete' | 'pending' | 'late' | 'none'> {
    const { store, replica, config = {} } = this.#props;
    if (!store || !replica) return 'none';
    const { hostname: bucket, pathname } = new URL(store);
    const prefix = decodeURIComponent(pathname.slice(1)).replace(/([^/])$/, '$1/');
    const client = new S3Client({ maxAttempts: 5, ...config });
    let waiting = 0;
    try {
      await inParallel(names, AT_ONCE, async (name) => {
        const { ReplicationStatus } = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: prefix + name }));
        if (ReplicationStatus !== 'COMPLETED' && ReplicationStatus !== 'COMPLETE') waiting += 1;
      });
    } finally {
      client.destroy();
    }
    if (waiting === 0) return 'complete';
    return Date.now() - since > LATE_MS ? 'late' : 'pending';
  }
}
