/** The lock under which objects are put into a bucket, unless the bucket itself locks them as strongly. */
import { GetObjectLockConfigurationCommand, type S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import type { LockSetting } from '../../core/datamap/locations.ts';

const DAY = 86_400_000;

export interface Retention {
  readonly Mode: 'COMPLIANCE' | 'GOVERNANCE';
  readonly RetainUntilDate: Date;
}

export class BucketLock {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #setting: LockSetting;
  #ownLock: Promise<boolean> | undefined;

  constructor(client: S3Client, bucket: string, setting: LockSetting) {
    this.#client = client;
    this.#bucket = bucket;
    this.#setting = setting;
  }

  /**
   * What to ask for with an object; undefined where the bucket's default retention does it. A bucket may well refuse writers that
   * set a retention themselves, so that none of them sets a shorter one.
   */
  async retention(): Promise<Retention | undefined> {
    this.#ownLock ??= this.#locksByItself();
    this.#ownLock.catch(() => {
      this.#ownLock = undefined; // asked again, not remembered as failed
    });
    if (await this.#ownLock) return undefined;
    const { mode, days } = this.#setting;
    return {
      Mode: mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE',
      RetainUntilDate: new Date(Date.now() + days * DAY),
    };
  }

  async #locksByItself(): Promise<boolean> {
    try {
      const { ObjectLockConfiguration: lock } = await this.#client.send(
        new GetObjectLockConfigurationCommand({ Bucket: this.#bucket }),
      );
      const { Mode, Days = 0, Years = 0 } = lock?.Rule?.DefaultRetention ?? {};
      const strong = Mode === 'COMPLIANCE' || (Mode === 'GOVERNANCE' && this.#setting.mode === 'governance');
      return strong && Days + 365 * Years >= this.#setting.days;
    } catch (error) {
      // No lock, no right to know, or a service that does not know the question: then each object is put under its own, and the
      // service refuses what it cannot do.
      if (error instanceof S3ServiceException && (error.$metadata.httpStatusCode ?? 500) < 500) return false;
      throw error;
    }
  }
}
