/** The refusals of time travel, which sql/0009_cuts.sql lists, as errors with a code and a remedy. */
import { ConfigError, type HoldfastError, IntegrityError, RestoreError } from '../../errors.ts';

type Make = new (...args: ConstructorParameters<typeof HoldfastError>) => HoldfastError;

const REFUSALS: Readonly<Record<string, readonly [code: string, Make, action: string]>> = {
  HF010: ['HF_NOT_PROTECTED', ConfigError, 'Add the table to holdfast.yaml and run holdfast install.'],
  HF011: ['HF_TIME_FUTURE', RestoreError, 'Choose a moment that has passed.'],
  HF012: ['HF_TIME_BEFORE_HISTORY', RestoreError, 'Choose a later moment; a backup may reach back further.'],
  HF013: ['HF_TIME_INEXACT', RestoreError, 'Choose the nearest moment.'],
  HF014: ['HF_SCHEMA_CHANGED', RestoreError, 'Choose a later moment; "holdfast history" shows what was before it.'],
  HF015: ['HF_NO_KEY', RestoreError, 'Give the table a primary key; activity and timeline work without one.'],
  HF016: ['HF_KEY_INVALID', ConfigError, 'Give one value for each column of the key, in its order or as column=value.'],
  HF017: [
    'HF_TENANT_DENIED',
    RestoreError,
    'Ask for the tenant that the session is held to, or as the owner of the history.',
  ],
  HF018: ['HF_HISTORY_BROKEN', IntegrityError, 'Run holdfast doctor: changes were made past the triggers.'],
  HF019: ['HF_ARGUMENT_INVALID', ConfigError, 'Correct it.'],
};

/** Turns a refusal of the database into an error of the domain; leaves everything else as it is. */
export function asRefusal(error: unknown): unknown {
  const { code, message, hint, detail } = (error ?? {}) as { [name: string]: string | undefined };
  const known = code === undefined ? undefined : REFUSALS[code];
  if (!known) return error;
  const [name, Refusal, action] = known;
  const nearest = /\d{4}-\d\d-\d\dT[\d:.]+Z/.exec(detail ?? '')?.[0];
  const text = [message, detail].filter((part) => part !== undefined).map((part) => capital(part!.replace(/\.$/, '')));
  return new Refusal(name, `${text.join('. ')}.`, {
    cause: error,
    action: hint ?? action,
    details: { sqlstate: code, ...(nearest ? { nearest } : {}) },
  });
}

/** A sentence that begins with the name of a table leaves it as it is. */
const capital = (text: string): string => (/^[a-z]+ /.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text);
