/**
 * The root of trust in KMS: a symmetric key wraps, an ECC_NIST_P256 key signs. Both are best multi-region keys, so that the
 * other region can unwrap when this one is dark.
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import {
  DecryptCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GetPublicKeyCommand,
  KMSClient,
  type KMSClientConfig,
  SignCommand,
} from '@aws-sdk/client-kms';
import { KeyError } from '../../core/errors.ts';
import type { KeyContext, KeyService, PublicKey, Signature } from '../../core/ports.ts';
import { kmsError } from './kmsError.ts';
import { keyId } from './kmsKeyId.ts';

export interface KmsKeysProps {
  /** ARN of the symmetric root key; of a multi-region key, that of any of its replicas. */
  readonly rootKey: string;
  /** ARNs of the signing keys, newest first: the first signs, all verify. */
  readonly signingKeys: readonly [string, ...string[]];
  readonly config?: KMSClientConfig;
}

export class KmsKeys implements KeyService {
  readonly rootKeyId: string;
  readonly #client: KMSClient;
  readonly #root: string;
  readonly #signing: ReadonlyMap<string, string>;
  readonly #public = new Map<string, Promise<KeyObject>>();

  constructor({ rootKey, signingKeys, config = {} }: KmsKeysProps) {
    this.#client = new KMSClient({ maxAttempts: 5, ...config });
    this.#root = rootKey;
    this.rootKeyId = keyId(rootKey);
    this.#signing = new Map(signingKeys.map((arn) => [keyId(arn), arn]));
  }

  async generate(context: KeyContext): Promise<{ plaintext: Buffer; wrapped: Buffer }> {
    const made = await this.#call(context, () =>
      this.#client.send(
        new GenerateDataKeyCommand({ KeyId: this.#root, KeySpec: 'AES_256', EncryptionContext: { ...context } }),
      ),
    );
    return { plaintext: Buffer.from(made.Plaintext!), wrapped: Buffer.from(made.CiphertextBlob!) };
  }

  async wrap(plaintext: Uint8Array, context: KeyContext): Promise<Buffer> {
    const made = await this.#call(context, () =>
      this.#client.send(
        new EncryptCommand({ KeyId: this.#root, Plaintext: plaintext, EncryptionContext: { ...context } }),
      ),
    );
    return Buffer.from(made.CiphertextBlob!);
  }

  /** The key is named, so that a ciphertext of another key, which the caller may also use, is refused. */
  async unwrap(wrapped: Uint8Array, context: KeyContext): Promise<Buffer> {
    const made = await this.#call(context, () =>
      this.#client.send(
        new DecryptCommand({ KeyId: this.#root, CiphertextBlob: wrapped, EncryptionContext: { ...context } }),
      ),
    );
    return Buffer.from(made.Plaintext!);
  }

  async sign(message: Uint8Array): Promise<Signature> {
    const [id, arn] = [...this.#signing][0]!;
    const made = await this.#call({}, () =>
      this.#client.send(
        // KMS takes messages of 4 KiB at most; a manifest is longer.
        new SignCommand({
          KeyId: arn,
          MessageType: 'DIGEST',
          Message: createHash('sha256').update(message).digest(),
          SigningAlgorithm: 'ECDSA_SHA_256',
        }),
      ),
    );
    return { algorithm: 'ecdsa-p256-sha256', keyId: id, value: Buffer.from(made.Signature!).toString('base64') };
  }

  /** On the spot, with the public key: no call per signature, and none at all after the first. */
  async verify(message: Uint8Array, signature: Signature): Promise<boolean> {
    const arn = this.#signing.get(signature.keyId);
    if (!arn || signature.algorithm !== 'ecdsa-p256-sha256') return false;
    return verify('sha256', message, await this.#publicKey(arn), Buffer.from(signature.value, 'base64'));
  }

  publicKeys(): Promise<readonly PublicKey[]> {
    return Promise.all(
      [...this.#signing].map(async ([id, arn]) => {
        const spki = (await this.#publicKey(arn)).export({ type: 'spki', format: 'der' }).toString('base64');
        return { algorithm: 'ecdsa-p256-sha256' as const, keyId: id, spki };
      }),
    );
  }

  #publicKey(arn: string): Promise<KeyObject> {
    let known = this.#public.get(arn);
    if (!known) {
      known = this.#call({}, () => this.#client.send(new GetPublicKeyCommand({ KeyId: arn }))).then((answer) =>
        createPublicKey({ key: Buffer.from(answer.PublicKey!), format: 'der', type: 'spki' }),
      );
      this.#public.set(arn, known);
      known.catch(() => this.#public.delete(arn)); // asked again, not remembered as failed
    }
    return known;
  }

  async #call<T>(context: KeyContext, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw error instanceof KeyError ? error : kmsError(error, this.rootKeyId, context);
    }
  }
}
