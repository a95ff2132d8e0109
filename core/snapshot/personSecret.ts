/** What a tenant's secret is for: the references that stand for its persons, and the wrapping of their keys. */
import { createHmac, type KeyObject, randomBytes } from 'node:crypto';
import { derive, secret } from './seal.ts';
import { unwrapKey, wrapKey } from './wrap.ts';

export class PersonSecret {
  readonly #reference: KeyObject;
  readonly #wrapping: Buffer;

  /** `root`: the tenant's 256 random bits, which the key service keeps wrapped. */
  constructor(root: Buffer) {
    this.#reference = secret(derive(root, Buffer.alloc(0), 'holdfast-person-1/reference'));
    this.#wrapping = derive(root, Buffer.alloc(0), 'holdfast-person-1/wrap');
  }

  /** 128 bits of HMAC: the same person is the same reference, and nobody without the tenant's secret can tell who. */
  reference(person: string): string {
    return createHmac('sha256', this.#reference).update(person).digest('hex').slice(0, 32);
  }

  newKey(ref: string): { key: Buffer; wrapped: Buffer } {
    const key = randomBytes(32);
    return { key, wrapped: wrapKey(this.#wrapping, key, { purpose: 'person-key', ref }) };
  }

  /** undefined when it was wrapped for another reference or by another tenant's secret, or was changed. */
  unwrap(ref: string, wrapped: Uint8Array): Buffer | undefined {
    return unwrapKey(this.#wrapping, wrapped, { purpose: 'person-key', ref });
  }
}

/** What the tenant's secret is wrapped under. */
export const personSecretContext = (tenant: string) => ({ purpose: 'person-keys', tenant });
