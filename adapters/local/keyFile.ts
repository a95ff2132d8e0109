/**
 * The root of trust as a file: root keys by version (the newest wraps, older ones still unwrap) and Ed25519 signing keys
 * (the newest signs, all verify). Whoever loses this file loses every backup; whoever copies it can read them.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { HoldfastError, KeyError } from '../../core/errors.ts';
import type { KeyAge, KeyContext, KeyService, PublicKey, Signature } from '../../core/ports.ts';
import { unwrapKey, wrapKey } from '../../core/snapshot/wrap.ts';
import { replaceFile, writeNewFile } from './durableFile.ts';
import { withFileLock } from './fileLock.ts';

const FORMAT = 'holdfast-key-file';
const VERSION = 1;

interface Content {
  readonly format: typeof FORMAT;
  readonly version: number;
  readonly id: string;
  /** Oldest first. `key` is base64 of 32 bytes. */
  readonly roots: readonly { readonly version: number; readonly key: string; readonly createdAt: string }[];
  /** Oldest first. `privateKey` is base64 of PKCS #8. */
  readonly signing: readonly { readonly id: string; readonly privateKey: string; readonly createdAt: string }[];
}

export class KeyFile implements KeyService {
  readonly rootKeyId: string;
  readonly #path: string;
  readonly #current: number;
  readonly #roots: ReadonlyMap<number, Buffer>;
  readonly #signing: ReadonlyMap<string, KeyObject>;
  readonly #ages: readonly KeyAge[];

  private constructor(file: Content, path: string) {
    this.#path = path;
    this.#roots = new Map(file.roots.map(({ version, key }) => [version, Buffer.from(key, 'base64')]));
    this.#current = Math.max(...this.#roots.keys());
    this.rootKeyId = `local:${file.id}#${this.#current}`;
    this.#signing = new Map(
      file.signing.map(({ id, privateKey }) => [`local:${file.id}#${id}`, signingKey(privateKey)]),
    );
    const root = file.roots.find(({ version }) => version === this.#current)!;
    this.#ages = [
      { keyId: this.rootKeyId, use: 'wrap', since: root.createdAt },
      { keyId: [...this.#signing.keys()].at(-1)!, use: 'sign', since: file.signing.at(-1)!.createdAt },
    ];
  }

  /**
   * Makes a key file that only its owner can read.
   * @throws KeyError HF_KEY_FILE_EXISTS: one that is there is never replaced
   */
  static async create(path: string): Promise<KeyFile> {
    const createdAt = new Date().toISOString();
    const file: Content = {
      format: FORMAT,
      version: VERSION,
      id: randomBytes(8).toString('hex'),
      roots: [{ version: 1, key: randomBytes(32).toString('base64'), createdAt }],
      signing: [{ id: 'sign-1', privateKey: newSigningKey(), createdAt }],
    };
    try {
      await writeNewFile(path, [Buffer.from(`${JSON.stringify(file, null, 2)}\n`)]);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
      throw new KeyError('HF_KEY_FILE_EXISTS', `${path} is there already.`, {
        cause,
        action: 'Keep it: backups made with it can be read with no other key. To start afresh, choose another path.',
      });
    }
    return KeyFile.open(path);
  }

  /** @throws KeyError HF_KEY_FILE_MISSING, HF_KEY_FILE_MODE, HF_KEY_FILE_MALFORMED */
  static async open(path: string): Promise<KeyFile> {
    return new KeyFile(parse(await readPrivate(path), path), path);
  }

  /**
   * Adds a new root key and a new signing key; the old ones stay, to unwrap and to verify. The file is replaced whole: whoever is
   * killed here leaves the old one.
   * @returns the rotated service
   */
  static async rotate(path: string): Promise<KeyFile> {
    // Two at once would each add a second version, and what one wrapped the other's file could not unwrap.
    await withFileLock(`${path}.lock`, async () => {
      const file = parse(await readPrivate(path), path);
      const createdAt = new Date().toISOString();
      const version = Math.max(...file.roots.map((root) => root.version)) + 1;
      const rotated: Content = {
        ...file,
        roots: [...file.roots, { version, key: randomBytes(32).toString('base64'), createdAt }],
        signing: [...file.signing, { id: `sign-${file.signing.length + 1}`, privateKey: newSigningKey(), createdAt }],
      };
      await replaceFile(path, Buffer.from(`${JSON.stringify(rotated, null, 2)}\n`));
    });
    return KeyFile.open(path);
  }

  async ages(): Promise<readonly KeyAge[]> {
    return this.#ages;
  }

  async generate(context: KeyContext): Promise<{ plaintext: Buffer; wrapped: Buffer }> {
    const plaintext = randomBytes(32);
    return { plaintext, wrapped: await this.wrap(plaintext, context) };
  }

  /** Root key version as u32, then `nonce || ciphertext || tag`. */
  async wrap(plaintext: Uint8Array, context: KeyContext): Promise<Buffer> {
    const version = Buffer.alloc(4);
    version.writeUInt32BE(this.#current);
    return Buffer.concat([version, wrapKey(this.#roots.get(this.#current)!, plaintext, context)]);
  }

  async unwrap(wrapped: Uint8Array, context: KeyContext): Promise<Buffer> {
    const bytes = Buffer.from(wrapped);
    const root = bytes.length > 4 ? this.#roots.get(bytes.readUInt32BE(0)) : undefined;
    const plaintext = root && unwrapKey(root, bytes.subarray(4), context);
    if (plaintext) return plaintext;
    throw new KeyError('HF_KEY_WRONG', `The key file ${this.#path} is not the one that this was made with.`, {
      action: 'Use the key file that the store was made with. If it is that one, the wrapped key has been damaged.',
      details: { rootKeyId: this.rootKeyId, context },
    });
  }

  async sign(message: Uint8Array): Promise<Signature> {
    const [keyId, key] = [...this.#signing].at(-1)!;
    return { algorithm: 'ed25519', keyId, value: sign(null, message, key).toString('base64') };
  }

  async verify(message: Uint8Array, signature: Signature): Promise<boolean> {
    const key = this.#signing.get(signature.keyId);
    if (!key || signature.algorithm !== 'ed25519') return false;
    return verify(null, message, createPublicKey(key), Buffer.from(signature.value, 'base64'));
  }

  async publicKeys(): Promise<readonly PublicKey[]> {
    return [...this.#signing].map(([keyId, key]) => {
      const spki = createPublicKey(key).export({ type: 'spki', format: 'der' }).toString('base64');
      return { algorithm: 'ed25519', keyId, spki };
    });
  }
}

/** @throws KeyError HF_KEY_FILE_MISSING, HF_KEY_FILE_MODE */
async function readPrivate(path: string): Promise<string> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    // Of what is read, not of what stands under that name a moment later.
    const { mode } = await file.stat();
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      const got = (mode & 0o777).toString(8).padStart(4, '0');
      throw new KeyError('HF_KEY_FILE_MODE', `The key file ${path} can be read by others (mode ${got}).`, {
        action: `Run "chmod 600 ${path}". If others had access to this machine, make a new key file and new backups.`,
        details: { expected: '0600', got },
      });
    }
    return await file.readFile('utf8');
  } catch (cause) {
    if (cause instanceof HoldfastError) throw cause;
    throw new KeyError('HF_KEY_FILE_MISSING', `The key file ${path} cannot be read: ${(cause as Error).message}.`, {
      cause,
      action: 'Check the path and its owner, or bring the key file back from where you keep its copy.',
    });
  } finally {
    await file?.close();
  }
}

/** base64 of PKCS #8 */
function newSigningKey(): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  return privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64');
}

const signingKey = (privateKey: string): KeyObject =>
  createPrivateKey({ key: Buffer.from(privateKey, 'base64'), format: 'der', type: 'pkcs8' });

function parse(text: string, path: string): Content {
  const malformed = (why: string) =>
    new KeyError('HF_KEY_FILE_MALFORMED', `${path} is not a Holdfast key file: ${why}.`, {
      action: 'Bring the key file back from where you keep its copy.',
    });
  let file: Partial<Content>;
  try {
    file = JSON.parse(text) as Partial<Content>;
  } catch {
    throw malformed('it is not JSON'); // without the parser's message, which would quote the secret
  }
  if (file.format !== FORMAT || file.version !== VERSION) throw malformed(`it should be ${FORMAT} version ${VERSION}`);
  const { id, roots, signing } = file;
  if (typeof id !== 'string' || !roots?.length || !signing?.length) throw malformed('its keys are incomplete');
  for (const { version, key, createdAt } of roots) {
    const whole = Number.isSafeInteger(version) && version > 0 && Buffer.from(key ?? '', 'base64').length === 32;
    if (!whole || !isTime(createdAt)) throw malformed(`root key ${version} is damaged`);
  }
  for (const { id: name, privateKey, createdAt } of signing) {
    if (typeof name !== 'string' || !isSigningKey(privateKey) || !isTime(createdAt))
      throw malformed(`signing key ${name} is damaged`);
  }
  // Two of one number: what one of them wrapped would not open.
  if (new Set(roots.map(({ version }) => version)).size < roots.length) throw malformed('a root key is there twice');
  if (new Set(signing.map((key) => key.id)).size < signing.length) throw malformed('a signing key is there twice');
  return file as Content;
}

const isTime = (text: unknown): boolean => typeof text === 'string' && !Number.isNaN(Date.parse(text));

function isSigningKey(privateKey: unknown): boolean {
  try {
    return signingKey(String(privateKey)).asymmetricKeyType === 'ed25519';
  } catch {
    return false; // the message would tell of the secret
  }
}
