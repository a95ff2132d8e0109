/**
 * A KMS that runs here: the protocol, and the refusals. It enciphers for real (AES-256-GCM under the encryption context), so a
 * wrong key, a wrong context and a changed byte fail because they must, not because a test said so.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { p256 } from '@noble/curves/nist.js';

interface Key {
  readonly arn: string;
  readonly material: Buffer[];
  readonly pair?: { privateKey: KeyObject; publicKey: KeyObject };
  state: 'Enabled' | 'Disabled' | 'PendingDeletion';
  /** In seconds, as KMS answers. */
  readonly createdAt: number;
  readonly rotations: number[];
  /** 0: it does not rotate by itself. */
  everyDays: number;
}

// biome-ignore lint/suspicious/noExplicitAny: the bodies of many operations
type Body = Record<string, any>;

class Refusal extends Error {
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

export class FakeKms {
  readonly #keys = new Map<string, Key>();
  readonly #server: Server;
  /** Operations in the order in which they came. */
  readonly calls: string[] = [];

  private constructor() {
    this.#server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece) => pieces.push(piece));
      request.on('end', () => {
        const operation = String(request.headers['x-amz-target']).replace('TrentService.', '');
        this.calls.push(operation);
        response.setHeader('content-type', 'application/x-amz-json-1.1');
        try {
          response.end(JSON.stringify(this.#answer(operation, JSON.parse(Buffer.concat(pieces).toString()))));
        } catch (error) {
          response.statusCode = 400;
          response.end(JSON.stringify({ __type: (error as Error).name, message: (error as Error).message }));
        }
      });
    });
  }

  static async start(): Promise<FakeKms> {
    const fake = new FakeKms();
    await new Promise<void>((done) => fake.#server.listen(0, '127.0.0.1', done));
    return fake;
  }

  get config() {
    const { port } = this.#server.address() as AddressInfo;
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
    return { endpoint: `http://127.0.0.1:${port}`, region: 'eu-central-1', credentials, maxAttempts: 1 };
  }

  stop = () => new Promise((done) => this.#server.close(done));

  /** @returns its ARN */
  createKey(use: 'encrypt' | 'sign', options: { multiRegion?: boolean; createdAt?: string } = {}): string {
    const id = options.multiRegion ? `mrk-${randomBytes(16).toString('hex')}` : crypto.randomUUID();
    const arn = `arn:aws:kms:eu-central-1:111122223333:key/${id}`;
    this.#keys.set(arn, {
      arn,
      material: [randomBytes(32)],
      ...(use === 'sign' ? { pair: generateKeyPairSync('ec', { namedCurve: 'P-256' }) } : {}),
      state: 'Enabled',
      createdAt: Date.parse(options.createdAt ?? new Date().toISOString()) / 1000,
      rotations: [],
      everyDays: 0,
    });
    return arn;
  }

  /** As a rotation does: new material wraps, the old still unwraps, the ARN stays. */
  rotate(arn: string, at = new Date().toISOString()): void {
    const key = this.#keys.get(arn)!;
    key.material.push(randomBytes(32));
    key.rotations.push(Date.parse(at) / 1000);
  }

  /** Automatic rotation. */
  rotateEvery(arn: string, days: number): void {
    this.#keys.get(arn)!.everyDays = days;
  }

  setState(arn: string, state: Key['state']): void {
    this.#keys.get(arn)!.state = state;
  }

  #known(arn: string): Key {
    const key = this.#keys.get(arn);
    if (!key) throw new Refusal('NotFoundException', `Key '${arn}' does not exist`);
    return key;
  }

  #key(arn: string, use: 'encrypt' | 'sign'): Key {
    const key = this.#known(arn);
    if (key.state === 'Disabled') throw new Refusal('DisabledException', `${arn} is disabled.`);
    if (key.state === 'PendingDeletion') throw new Refusal('KMSInvalidStateException', `${arn} is pending deletion.`);
    if ((key.pair !== undefined) !== (use === 'sign'))
      throw new Refusal('InvalidKeyUsageException', `${arn} is for other use.`);
    return key;
  }

  #answer(operation: string, body: Body): Body {
    const context = canonical(body.EncryptionContext ?? {});
    switch (operation) {
      case 'GenerateDataKey': {
        const plaintext = randomBytes(32);
        const key = this.#key(body.KeyId, 'encrypt');
        return {
          KeyId: key.arn,
          Plaintext: plaintext.toString('base64'),
          CiphertextBlob: encrypt(key, plaintext, context),
        };
      }
      case 'Encrypt': {
        const key = this.#key(body.KeyId, 'encrypt');
        return { KeyId: key.arn, CiphertextBlob: encrypt(key, Buffer.from(body.Plaintext, 'base64'), context) };
      }
      case 'Decrypt': {
        const key = this.#key(body.KeyId, 'encrypt');
        return { KeyId: key.arn, Plaintext: decrypt(key, Buffer.from(body.CiphertextBlob, 'base64'), context) };
      }
      case 'Sign': {
        const key = this.#key(body.KeyId, 'sign');
        const digest = Buffer.from(body.Message, 'base64');
        if (body.MessageType !== 'DIGEST' || body.SigningAlgorithm !== 'ECDSA_SHA_256' || digest.length !== 32) {
          throw new Refusal('ValidationException', 'Digest of 32 bytes for ECDSA_SHA_256 expected.');
        }
        return { KeyId: key.arn, Signature: signDigest(key.pair!.privateKey, digest).toString('base64') };
      }
      case 'GetPublicKey': {
        const key = this.#key(body.KeyId, 'sign');
        return {
          KeyId: key.arn,
          PublicKey: key.pair!.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
        };
      }
      case 'DescribeKey': {
        const { arn, createdAt, state } = this.#known(body.KeyId);
        return { KeyMetadata: { Arn: arn, KeyId: arn, CreationDate: createdAt, KeyState: state } };
      }
      case 'GetKeyRotationStatus': {
        const { everyDays } = this.#key(body.KeyId, 'encrypt');
        return { KeyRotationEnabled: everyDays > 0, ...(everyDays > 0 ? { RotationPeriodInDays: everyDays } : {}) };
      }
      case 'ListKeyRotations': {
        const { rotations } = this.#key(body.KeyId, 'encrypt');
        return {
          Rotations: rotations.map((RotationDate) => ({ RotationDate, RotationType: 'AUTOMATIC' })),
          Truncated: false,
        };
      }
      default:
        throw new Refusal('UnknownOperationException', operation);
    }
  }
}

const canonical = (context: Record<string, string>): Buffer =>
  Buffer.from(JSON.stringify(Object.entries(context).sort()));

/** Which key, which material, nonce, ciphertext, tag. */
function encrypt(key: Key, plaintext: Buffer, context: Buffer): string {
  const version = key.material.length - 1;
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key.material[version]!, nonce);
  cipher.setAAD(context);
  const body = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  return Buffer.concat([nameOf(key), Buffer.from([version]), nonce, body]).toString('base64');
}

function decrypt(key: Key, blob: Buffer, context: Buffer): string {
  const invalid = new Refusal('InvalidCiphertextException', '');
  if (blob.length < 16 + 1 + 12 + 16) throw invalid;
  if (!blob.subarray(0, 16).equals(nameOf(key)))
    throw new Refusal('IncorrectKeyException', 'The key ID does not match.');
  const material = key.material[blob[16]!];
  if (!material) throw invalid;
  const decipher = createDecipheriv('aes-256-gcm', material, blob.subarray(17, 29));
  decipher.setAAD(context);
  decipher.setAuthTag(blob.subarray(-16));
  try {
    return Buffer.concat([decipher.update(blob.subarray(29, -16)), decipher.final()]).toString('base64');
  } catch {
    throw invalid;
  }
}

const nameOf = (key: Key): Buffer => createHash('md5').update(key.arn).digest();

/** node:crypto signs messages only; KMS is given digests. DER, as KMS answers. */
function signDigest(privateKey: KeyObject, digest: Buffer): Buffer {
  const scalar = Buffer.from(privateKey.export({ format: 'jwk' }).d!, 'base64url');
  return Buffer.from(p256.sign(digest, scalar, { prehash: false, format: 'der' }));
}
