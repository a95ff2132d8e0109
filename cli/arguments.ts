/** Values of options that are more than text. */
import { ConfigError } from '../core/errors.ts';

/** @throws ConfigError HF_ARGUMENT_INVALID */
export function positiveInteger(text: string, option: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value > 0) return value;
  throw new ConfigError('HF_ARGUMENT_INVALID', `${option} takes a whole number above 0, not "${text}".`, {
    action: `Pass for example ${option} 30.`,
    details: { option, got: text },
  });
}

/** @throws ConfigError HF_ARGUMENT_INVALID */
export const nonNegativeInteger = (text: string, option: string): number =>
  text === '0' ? 0 : positiveInteger(text, option);
