/** Public keys as a file that an auditor can keep: PEM, each with its id in the line before it. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { KeyError } from '../../errors.ts';
import type { KeyService, Trust } from '../../ports.ts';

export async function publicKeyFile(keys: Pick<KeyService, 'publicKeys'>): Promise<string> {
  const blocks = (await keys.publicKeys()).map(({ keyId, spki }) => {
    const key = createPublicKey({ key: Buffer.from(spki, 'base64'), format: 'der', type: 'spki' });
    return `key: ${keyId}\n${key.export({ type: 'spki', format: 'pem' })}`;
  });
  return blocks.join('');
}

/**
 * Trusts the keys of such a file and nothing else.
 * @throws KeyError HF_PUBLIC_KEY
 */
export function trustFile(text: string): Trust {
  const keys = new Map<string, KeyObject>();
  for (const [, keyId, pem] of text.matchAll(
    /^key: (\S+)\s+(-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----)/gm,
  )) {
    try {
      keys.set(keyId!, createPublicKey(pem!));
    } catch (cause) {
      throw unreadable(`the key ${keyId} in it cannot be read`, cause);
    }
  }
  if (keys.size === 0) throw unreadable('there is no key in it');
  return {
    publicKeys: async () => [...keys.keys()].map((keyId) => ({ keyId })),
    async verify(message, { algorithm, keyId, value }) {
      const key = keys.get(keyId);
      if (!key) return false;
      const kind = key.asymmetricKeyType === 'ed25519' ? 'ed25519' : 'ecdsa-p256-sha256';
      const digest = kind === 'ed25519' ? null : 'sha256';
      return algorithm === kind && verify(digest, message, key, Buffer.from(value, 'base64'));
    },
  };
}

function unreadable(why: string, cause?: unknown): KeyError {
  return new KeyError('HF_PUBLIC_KEY', `The file of public keys is not one: ${why}.`, {
    cause,
    action:
      'Write it with "holdfast audit public-key", on the machine that seals, and bring it over a way that you trust.',
  });
}
