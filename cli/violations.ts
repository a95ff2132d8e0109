/** Why what was previewed could not be done: what stands in the way, which rows, and what to do about it. */
import type { HoldfastError } from '../core/errors.ts';
import { clip, dim, printable } from './output.ts';
import { problem } from './report.ts';

export type Violation = Pick<HoldfastError, 'code' | 'message' | 'action' | 'details'>;

/** Items shown of a list of rows. */
const ITEMS = 5;
const WIDTH = 160;

export function violationLines(violations: readonly Violation[]): string[] {
  return violations.flatMap(({ code, message, action, details }) => [
    problem(code, message),
    ...Object.entries(details ?? {}).flatMap(([name, value]) => detail(name, value, message)),
    `    ${dim('what to do:')} ${action}`,
  ]);
}

/** What the message does not say already. */
function detail(name: string, value: unknown, message: string): string[] {
  if (value === null || value === undefined || value === '') return [];
  if (Array.isArray(value)) {
    if (value.length === 0 || message.includes(value.map(String).join(', '))) return [];
    const more = value.length > ITEMS ? [dim(`      and ${value.length - ITEMS} more`)] : [];
    return [
      `    ${dim(`${printable(name)}:`)}`,
      ...value.slice(0, ITEMS).map((item) => `      ${clip(inline(item), WIDTH)}`),
      ...more,
    ];
  }
  const text = inline(value);
  return message.includes(text) ? [] : [`    ${dim(`${printable(name)}:`)} ${clip(text, WIDTH)}`];
}

function inline(value: unknown): string {
  if (Array.isArray(value)) return value.map(inline).join(', ');
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .filter(([, member]) => member !== null && member !== undefined)
    .map(([name, member]) => `${name} ${inline(member)}`)
    .join('; ');
}
