/** Wrapping one key with another: `nonce || ciphertext || tag`, the context as AAD. */
import { randomBytes } from 'node:crypto';
import type { KeyContext } from '../ports.ts';
import { canonicalJson } from './canonical.ts';
import { NONCE_BYTES, open, seal, secret, TAG_BYTES } from './seal.ts';

const aad = (context: KeyContext): Buffer => Buffer.from(canonicalJson(context));

export function wrapKey(wrapping: Uint8Array, plaintext: Uint8Array, context: KeyContext): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  return Buffer.concat([nonce, ...seal(secret(wrapping), nonce, aad(context), plaintext)]);
}

/** undefined when the key or the context is another one, or the bytes were changed. */
export function unwrapKey(wrapping: Uint8Array, wrapped: Uint8Array, context: KeyContext): Buffer | undefined {
  if (wrapped.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const body = wrapped.subarray(NONCE_BYTES, wrapped.length - TAG_BYTES);
  const tag = wrapped.subarray(wrapped.length - TAG_BYTES);
  return open(secret(wrapping), wrapped.subarray(0, NONCE_BYTES), aad(context), body, tag);
}
