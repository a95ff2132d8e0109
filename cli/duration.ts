import { ConfigError } from '../core/errors.ts';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `90s`, `15m`, `2h`, `7d` in seconds. @throws ConfigError HF_ARGUMENT_INVALID */
export function seconds(text: string, option: string): number {
  const m = /^(\d{1,6})([smhd])$/.exec(text.trim());
  const value = m ? Number(m[1]) * SECONDS[m[2]!]! : 0;
  if (value > 0) return value;
  throw new ConfigError('HF_ARGUMENT_INVALID', `${option} takes a length of time, not "${text}".`, {
    action: `Pass for example ${option} 30m, 2h or 7d.`,
    details: { option, got: text },
  });
}
