/** The place where a page ended: opaque text for callers. It carries the moments too, so that the next page is of the same history. */
import { ConfigError } from '../../errors.ts';

export function encodePlace(question: string, fields: Readonly<Record<string, string>>): string {
  return Buffer.from(JSON.stringify({ question, ...fields })).toString('base64url');
}

/** @throws ConfigError HF_PLACE_INVALID: cut short, or of another question */
export function decodePlace<Field extends string>(
  question: string,
  place: string,
  fields: readonly Field[],
): Record<Field, string> {
  const read = parse(place);
  if (read?.question === question && fields.every((field) => typeof read[field] === 'string')) {
    return read as Record<Field, string>;
  }
  throw new ConfigError('HF_PLACE_INVALID', `${JSON.stringify(place)} is not a place in the answer to this question.`, {
    action: 'Pass what the page before gave as "next", unchanged, with the same table and options.',
    details: { got: place },
  });
}

function parse(place: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(Buffer.from(place, 'base64url').toString('utf8'));
  } catch {
    return undefined; // the caller says what is wrong with it
  }
}
