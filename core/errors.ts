/**
 * Every failure that Holdfast reports is a HoldfastError with a stable code. The code is part of the public surface:
 * scripts match on it, so a code is never renamed or reused. The full list with remedies is docs/errors.md.
 */
export class HoldfastError extends Error {
  /** Stable identifier, e.g. `HF_TENANT_UNKNOWN`. */
  readonly code: string;
  /** What the user can do next, as one or two sentences in the imperative. */
  readonly action: string;
  /** Machine-readable facts (object name, byte range, expected, got, nearest moment, …), shown by `--json`. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    message: string,
    options: ErrorOptions & { action: string; details?: Record<string, unknown> },
  ) {
    super(message, { cause: options.cause });
    this.name = 'HoldfastError';
    this.code = code;
    this.action = options.action;
    this.details = Object.freeze({ ...options.details });
  }

  toJSON(): Record<string, unknown> {
    return { code: this.code, message: this.message, action: this.action, details: this.details };
  }
}

/** Whether something that was thrown is this failure of Holdfast, e.g. `isCode(error, 'HF_OBJECT_EXISTS')`. */
export const isCode = (error: unknown, code: string): error is HoldfastError =>
  error instanceof HoldfastError && error.code === code;

/** Bad command-line arguments, configuration or data map. */
export class ConfigError extends HoldfastError {
  override readonly name = 'ConfigError';
}
/** The database cannot be reached, lacks a right, or is not in the state that the operation needs. */
export class DatabaseError extends HoldfastError {
  override readonly name = 'DatabaseError';
}
/** An object in a store is missing, damaged, foreign or of an unknown version. */
export class IntegrityError extends HoldfastError {
  override readonly name = 'IntegrityError';
}
/** A store cannot be read or written (full disk, no permission, no such bucket). */
export class StoreError extends HoldfastError {
  override readonly name = 'StoreError';
}
/** A key is missing, wrong, disabled or erased. */
export class KeyError extends HoldfastError {
  override readonly name = 'KeyError';
}
/** A restore cannot reach its target, or would break a constraint, another tenant or a later edit. */
export class RestoreError extends HoldfastError {
  override readonly name = 'RestoreError';
}
