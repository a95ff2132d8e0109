/** The two operations that everything sealed is made of: AES-256-GCM and HKDF-SHA256, both from node:crypto. */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';

export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;

const secrets = new WeakMap<Uint8Array, KeyObject>();

/**
 * A cipher made from a KeyObject costs a third of one made from a Buffer (7 µs against 21 µs here). Kept for as long as the
 * bytes are, because a person's key seals one capsule in many slabs. The bytes must not be changed.
 */
export function secret(key: Uint8Array): KeyObject {
  let known = secrets.get(key);
  if (!known) {
    known = createSecretKey(key);
    secrets.set(key, known);
  }
  return known;
}

/** Ciphertext and tag, in pieces that the caller joins. */
export function seal(key: KeyObject, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): [Buffer, Buffer] {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad);
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return [ciphertext, cipher.getAuthTag()];
}

/** The plaintext, or undefined when any bit of key, nonce, AAD, ciphertext or tag is not what was sealed. */
export function open(
  key: KeyObject,
  nonce: Uint8Array,
  aad: Uint8Array,
  ciphertext: Uint8Array,
  tag: Uint8Array,
): Buffer | undefined {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(aad);
  decipher.setAuthTag(tag);
  const plaintext = decipher.update(ciphertext);
  try {
    decipher.final();
  } catch {
    return undefined; // the only error that final() has for GCM is a tag that does not match
  }
  return plaintext;
}

/** 32 bytes for one purpose. `info` names the purpose; it is not secret. */
export function derive(key: Uint8Array, salt: Uint8Array, info: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, info, 32));
}
