/** Errors of the file system, said in terms of a store. */
import { HoldfastError, IntegrityError, StoreError } from '../../core/errors.ts';

/** What to throw instead of `error`. One that does not come from a system call, such as the body's own, stays as it is. */
export function fileError(error: unknown, description: string, name: string): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (error instanceof HoldfastError || typeof code !== 'string' || typeof syscall !== 'string') return error;
  const options = { cause: error, details: { object: name, reason: code } };
  if (syscall === 'mkdir' && ['EEXIST', 'ENOENT', 'ENOTDIR'].includes(code)) {
    return new StoreError('HF_STORE_UNAVAILABLE', `${description} cannot be made: ${message}.`, {
      ...options,
      action: 'Name a directory whose parents are directories on a file system that can be written.',
    });
  }
  switch (code) {
    case 'EEXIST':
      return objectExists(description, name);
    case 'ENOENT':
    case 'EISDIR':
    case 'ENOTDIR':
      return new IntegrityError('HF_OBJECT_MISSING', `${name} is not in ${description}.`, {
        ...options,
        action: 'Bring it back from another copy of the store, or use another backup.',
      });
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new StoreError('HF_STORE_FULL', `There is no room left in ${description} for ${name} (${code}).`, {
        ...options,
        action: 'Free some space or raise the quota, then run the command again; nothing was left half-written.',
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new StoreError('HF_STORE_DENIED', `${description} does not allow this: ${message}.`, {
        ...options,
        action: 'Let this user read and write the directory, on a file system that can be written and has hard links.',
      });
    default:
      return new StoreError('HF_STORE_UNAVAILABLE', `${description} cannot be used: ${message}.`, {
        ...options,
        action: 'Check that the disk is mounted and healthy, then run the command again.',
      });
  }
}

export function objectExists(description: string, name: string): StoreError {
  return new StoreError('HF_OBJECT_EXISTS', `${name} is already in ${description}; objects are never overwritten.`, {
    action: 'Start a new backup, which has a new name.',
    details: { object: name },
  });
}
