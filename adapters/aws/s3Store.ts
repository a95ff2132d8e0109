/**
 * An object store in S3, or in anything that speaks its protocol. Every write is conditional (`If-None-Match: *`), so that
 * the service itself refuses to overwrite. Some compatible services ignore that header; a HEAD before each write catches
 * what they would let through, except for two writers in the same instant.
 */

import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
  paginateListObjectsV2,
  type S3Client,
  type S3ClientConfig,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { LockSetting } from '../../core/datamap/locations.ts';
import { HoldfastError, IntegrityError, StoreError } from '../../core/errors.ts';
import type { LockingStore, ObjectLock } from '../../core/ports.ts';
import { BucketLock } from './bucketLock.ts';
import { type S3Location, s3Location } from './s3Location.ts';

/** 10,000 parts of this size: objects up to 80 GiB. Two in flight, so a stream takes 16 MiB of memory. */
const PART_BYTES = 8 << 20;
const PARTS_IN_FLIGHT = 2;

export class S3Store implements LockingStore {
  readonly description: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  /** Ends in `/`, or is empty. */
  readonly #prefix: string;
  readonly #lock: BucketLock | undefined;

  private constructor({ client, bucket, prefix }: S3Location, lock: LockSetting | undefined) {
    this.#client = client;
    this.#lock = lock && new BucketLock(client, bucket, lock);
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.description = `s3://${bucket}/${prefix}`;
  }

  /**
   * Locations as `s3Location` reads them. With a lock, every object is put under it; the bucket must have object lock enabled.
   * @throws ConfigError HF_STORE_URL
   */
  static open(location: string, config: S3ClientConfig = {}, lock?: LockSetting): S3Store {
    return new S3Store(s3Location(location, config), lock);
  }

  async put(name: string, body: Uint8Array): Promise<void> {
    await this.#mustBeNew(name);
    await this.#try(name, async () =>
      this.#client.send(new PutObjectCommand({ ...(await this.#new(name)), Body: body })),
    );
  }

  async putStream(name: string, body: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#mustBeNew(name);
    await this.#try(name, async () => {
      const upload = new Upload({
        client: this.#client,
        params: { ...(await this.#new(name)), Body: Readable.from(body, { objectMode: false }) },
        partSize: PART_BYTES,
        queueSize: PARTS_IN_FLIGHT,
        leavePartsOnError: false,
      });
      return upload.done();
    });
  }

  async get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    if (range?.length === 0) return Buffer.alloc(0);
    const Range = range && `bytes=${range.offset}-${range.offset + range.length - 1}`;
    const bytes = await this.#try(name, async () => {
      const { Body } = await this.#client.send(new GetObjectCommand({ ...this.#at(name), Range }));
      return Buffer.from(await Body!.transformToByteArray());
    });
    if (range && bytes.length !== range.length) throw this.#truncated(name, { ...range, got: bytes.length });
    return bytes;
  }

  async head(name: string): Promise<{ size: number } | undefined> {
    try {
      const { ContentLength = 0 } = await this.#client.send(new HeadObjectCommand(this.#at(name)));
      return { size: ContentLength };
    } catch (error) {
      if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404) return undefined;
      throw this.#translate(error, name);
    }
  }

  async *list(prefix: string): AsyncGenerator<{ name: string; size: number }> {
    const input = { Bucket: this.#bucket, Prefix: this.#prefix + prefix };
    try {
      for await (const { Contents = [] } of paginateListObjectsV2({ client: this.#client }, input)) {
        for (const { Key, Size = 0 } of Contents) yield { name: Key!.slice(this.#prefix.length), size: Size };
      }
    } catch (error) {
      throw this.#translate(error, prefix);
    }
  }

  async delete(name: string): Promise<void> {
    await this.#try(name, () => this.#client.send(new DeleteObjectCommand(this.#at(name))));
  }

  /** Whatever set it: a lock that was asked for here, or the bucket's own. Needs s3:GetObjectRetention; without it, none is seen. */
  async lockOf(name: string): Promise<ObjectLock | undefined> {
    const { ObjectLockMode: mode, ObjectLockRetainUntilDate: until } = await this.#try(name, () =>
      this.#client.send(new HeadObjectCommand(this.#at(name))),
    );
    if (!mode) return undefined;
    return {
      mode: mode === 'COMPLIANCE' ? 'compliance' : 'governance',
      ...(until ? { until: until.toISOString() } : {}),
    };
  }

  async lock(name: string): Promise<void> {
    const wanted = await this.#lock?.retention();
    if (!wanted || (await this.lockOf(name))) return;
    await this.#try(name, () =>
      this.#client.send(new PutObjectRetentionCommand({ ...this.#at(name), Retention: wanted })),
    );
  }

  /** Closes idle connections. */
  close(): void {
    this.#client.destroy();
  }

  /** Of a put. For a multipart upload the condition is sent when it completes, which is when the object comes to be. */
  async #new(name: string) {
    const lock = await this.#lock?.retention();
    const locked = lock && { ObjectLockMode: lock.Mode, ObjectLockRetainUntilDate: lock.RetainUntilDate };
    return { ...this.#at(name), IfNoneMatch: '*', ...locked };
  }

  #at(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + name };
  }

  async #mustBeNew(name: string): Promise<void> {
    if (await this.head(name)) throw this.#exists(name);
  }

  async #try<T>(name: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#translate(error, name);
    }
  }

  /** Errors of the service become the store's; anything else, such as one thrown by the body, passes unchanged. */
  #translate(error: unknown, name: string): unknown {
    if (error instanceof HoldfastError) return error;
    const { name: kind, message, $metadata } = error as S3ServiceException;
    const status = $metadata?.httpStatusCode;
    // The SDK marks every error of a request, also one that never got an answer.
    if ($metadata === undefined && kind !== 'CredentialsProviderError') return error;
    const options = { cause: error, details: { object: name, reason: kind, status } };
    const at = this.description;
    if (status === 412 || status === 409) return this.#exists(name, error);
    if (kind === 'NoSuchBucket') {
      return new StoreError('HF_STORE_UNKNOWN', `There is no bucket ${this.#bucket} at this endpoint.`, {
        ...options,
        action: 'Check the name, the region and the endpoint of the store.',
      });
    }
    if (status === 400 && /object ?lock/i.test(`${kind} ${message}`)) {
      return new StoreError('HF_LOCK_UNSUPPORTED', `The bucket of ${at} does not lock objects: ${message}.`, {
        ...options,
        action: 'Enable object lock on the bucket, which must be versioned; or take "lock:" off this location.',
      });
    }
    if (status === 404) {
      return new IntegrityError('HF_OBJECT_MISSING', `${name} is not in ${at}.`, {
        ...options,
        action: 'Bring it back from another copy of the store, or use another backup.',
      });
    }
    if (status === 416) return this.#truncated(name, options.details, error);
    if (status === 507 || /StorageFull|QuotaExceeded/i.test(kind)) {
      return new StoreError('HF_STORE_FULL', `There is no room left in ${at} for ${name}.`, {
        ...options,
        action: 'Free some space or raise the quota, then run the command again; nothing was left half-written.',
      });
    }
    if (status === 401 || status === 403 || kind === 'CredentialsProviderError') {
      return new StoreError('HF_STORE_DENIED', `${at} does not allow this: ${message || kind}.`, {
        ...options,
        action: 'Check the credentials, and that they may get, put, and list here.',
      });
    }
    return new StoreError('HF_STORE_UNAVAILABLE', `${at} cannot be reached or used: ${message || kind}.`, {
      ...options,
      action: 'Check the network and the endpoint, then run the command again.',
    });
  }

  #exists(name: string, cause?: unknown): StoreError {
    return new StoreError(
      'HF_OBJECT_EXISTS',
      `${name} is already in ${this.description}; objects are never overwritten.`,
      {
        cause,
        action: 'Start a new backup, which has a new name.',
        details: { object: name },
      },
    );
  }

  #truncated(name: string, details: Record<string, unknown>, cause?: unknown): IntegrityError {
    return new IntegrityError('HF_OBJECT_TRUNCATED', `${name} in ${this.description} is shorter than it should be.`, {
      cause,
      action: 'Bring it back from another copy of the store, or use another backup.',
      details: { ...details, object: name },
    });
  }
}
