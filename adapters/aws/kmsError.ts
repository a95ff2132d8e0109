/** Errors of KMS, said in terms of keys. */
import { KMSServiceException } from '@aws-sdk/client-kms';
import { KeyError } from '../../core/errors.ts';
import type { KeyContext } from '../../core/ports.ts';

/** What to throw instead of `error`. One that does not come from KMS or the way to it stays as it is. */
export function kmsError(error: unknown, rootKeyId: string, context: KeyContext): unknown {
  const { name = '', message = '' } = (error ?? {}) as Error;
  const options = { cause: error, details: { rootKeyId, context, reason: name } };
  switch (name) {
    case 'InvalidCiphertextException':
    case 'IncorrectKeyException':
      return new KeyError(
        'HF_KEY_WRONG',
        `${rootKeyId} is not the key, or this not the context, that this was wrapped with.`,
        {
          ...options,
          action: 'Use the root key that the store was made with. If it is that one, the wrapped key has been damaged.',
        },
      );
    case 'DisabledException':
    case 'KMSInvalidStateException':
      return new KeyError('HF_KEY_DISABLED', `${rootKeyId} cannot be used now: ${message}.`, {
        ...options,
        action: 'Enable the key, or cancel its deletion, in KMS; until then nothing made with it can be read.',
      });
    case 'NotFoundException':
      return new KeyError('HF_KEY_MISSING', `There is no key ${rootKeyId} here: ${message}.`, {
        ...options,
        action: 'Check account and region; in another region a replica of the multi-region key is needed.',
      });
    case 'AccessDeniedException':
      return new KeyError('HF_KEY_DENIED', `This role may not use ${rootKeyId}: ${message}.`, {
        ...options,
        action: "Look at the key's policy and the role's: both must allow it for this encryption context.",
      });
    default:
      if (!(error instanceof KMSServiceException) && !('$metadata' in ((error ?? {}) as object))) {
        const { code } = (error ?? {}) as NodeJS.ErrnoException;
        if (typeof code !== 'string') return error;
      }
      return new KeyError('HF_KEY_UNAVAILABLE', `KMS did not answer for ${rootKeyId}: ${message || name}.`, {
        ...options,
        action: 'Check the network and the limits of KMS, then run it again.',
      });
  }
}
