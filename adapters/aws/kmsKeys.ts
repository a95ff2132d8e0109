/**
 * The root of trust in KMS: a symmetric key wraps, an ECC_NIST_P256 key signs. Both are best multi-region keys, so that the
 * other region can unwrap when this one is dark.
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import {
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GetKeyRotationStatusCommand,
  GetPublicKeyCommand,
  KMSClient,
  type KMSClientConfig,
  paginateListKeyRotations,
  SignCommand,
} from '@aws-sdk/client-kms';
import { KeyError } from '../../core/errors.ts';
import type { KeyAge, KeyContext, KeyService, PublicKey, Signature } from '../../core/ports.ts';
import { kmsError } from './kmsError.ts';
import { keyId } from './kmsKeyId.ts';

export interface KmsKeysProps {
  /** ARN of the symmetric root key; of a multi-region key, that of any of its replicas. */
  readonly rootKey: string;
  /** ARNs of root keys that were replaced: they only unwrap what they wrapped. @default none */
  readonly formerRootKeys?: readonly string[];
  /** ARNs of the signing keys, newest first: the first signs, all verify. */
  readonly signingKeys: readonly [string, ...string[]];
  readonly config?: KMSClientConfig;
}

export class KmsKeys implements KeyService {
  readonly rootKeyId: string;
  readonly #client: KMSClient;
  readonly #root: string;
  /** ARNs by name, the current one first. */
  readonly #roots: ReadonlyMap<string, string>;
  readonly #signing: ReadonlyMap<string, string>;
  readonly #public = new Map<string, Promise<KeyObject>>();

  constructor({ rootKey, formerRootKeys = [], signingKeys, config = {} }: KmsKeysProps) {
    this.#client = new KMSClient({ maxAttempts: 5, ...config });
    this.#root = rootKey;
    this.rootKeyId = keyId(rootKey);
    this.#roots = byName([rootKey, ...formerRootKeys]);
    this.#signing = byName(signingKeys);
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

  async unwrap(wrapped: Uint8Array, context: KeyContext): Promise<Buffer> {
    const named = context.rootKey === undefined ? undefined : this.#roots.get(context.rootKey);
    const [first, ...others] = named ? [named] : this.#roots.values();
    try {
      return await this.#decrypt(first!, wrapped, context);
    } catch (error) {
      if (!isWrong(error)) throw error;
      for (const root of others) {
        const key = await this.#decrypt(root, wrapped, context).catch((again: unknown) => {
          if (!isWrong(again)) throw again;
        });
        if (key) return key;
      }
      throw error;
    }
  }

  /** The key is named, so that a ciphertext of another key, which the caller may also use, is refused. */
  async #decrypt(root: string, wrapped: Uint8Array, context: KeyContext): Promise<Buffer> {
    const made = await this.#call(context, () =>
      this.#client.send(
        new DecryptCommand({ KeyId: root, CiphertextBlob: wrapped, EncryptionContext: { ...context } }),
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

  /** Needs kms:DescribeKey on both keys, and kms:GetKeyRotationStatus and kms:ListKeyRotations on the root. */
  async ages(): Promise<readonly KeyAge[]> {
    const [signing, arn] = [...this.#signing][0]!;
    const [root, rotates, turned, signs] = await Promise.all([
      this.#madeAt(this.#root),
      this.#call({}, () => this.#client.send(new GetKeyRotationStatusCommand({ KeyId: this.#root }))),
      this.#call({}, () => this.#lastRotation()),
      this.#madeAt(arn),
    ]);
    const every = rotates.KeyRotationEnabled ? { rotatesEveryDays: rotates.RotationPeriodInDays ?? 365 } : {};
    return [
      { keyId: this.rootKeyId, use: 'wrap', since: (turned ?? root).toISOString(), ...every },
      { keyId: signing, use: 'sign', since: signs.toISOString() },
    ];
  }

  async #madeAt(arn: string): Promise<Date> {
    const { KeyMetadata } = await this.#call({}, () => this.#client.send(new DescribeKeyCommand({ KeyId: arn })));
    return KeyMetadata!.CreationDate!;
  }

  async #lastRotation(): Promise<Date | undefined> {
    let last: Date | undefined;
    for await (const { Rotations = [] } of paginateListKeyRotations({ client: this.#client }, { KeyId: this.#root })) {
      for (const { RotationDate: at } of Rotations) if (at && (!last || at > last)) last = at;
    }
    return last;
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

/** Of a key that is named twice, by replicas in two regions, the first is asked. */
function byName(arns: readonly string[]): Map<string, string> {
  const named = new Map<string, string>();
  for (const arn of arns) if (!named.has(keyId(arn))) named.set(keyId(arn), arn);
  return named;
}

const isWrong = (error: unknown): boolean => error instanceof KeyError && error.code === 'HF_KEY_WRONG';
