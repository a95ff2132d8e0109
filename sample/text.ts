/**
 * Writing that looks like people's: sentences of many shapes, names, numbers, times, slips of the finger. It matters for
 * the figures: zstd makes of it about what it makes of real English, where repeated filler would flatter every result.
 */
import type { Random } from '../bench/prove/suite.ts';
import { ADJECTIVES, ADVERBS, FAMILY_NAMES, GIVEN_NAMES, NOUNS, PATTERNS, PLACES, VERBS, WEEKDAYS } from './words.ts';

const LETTERS = 'etaoinshrdlucmfwypvbgkjqxz';
const SYLLABLES =
  'ba be bo da de di ga ha ka ke ko la le li lo ma me mi mo na ne no pa ra re ri ro sa se so ta te to va ve vi wa za'.split(
    ' ',
  );

/** `Fernandez`, and now and then a name that no list has. */
function familyName(random: Random): string {
  if (random.chance(0.7)) return random.pick(FAMILY_NAMES);
  const made =
    Array.from({ length: 2 + random.int(2) }, () => random.pick(SYLLABLES)).join('') +
    random.pick(['', 'n', 's', 'k', 'r']);
  return made.charAt(0).toUpperCase() + made.slice(1);
}

const GLUE: Readonly<Record<string, readonly string[]>> = {
  the: 'the the the my my her his our a that this their some every another'.split(' '),
  was: 'was was is became seemed felt looked stayed'.split(' '),
  and: 'and and and then but while so & + or'.split(' '),
  with: 'with without near for from despite behind like'.split(' '),
  about: 'about about on over concerning around'.split(' '),
  I: 'I I I we they he she you everyone nobody'.split(' '),
};

const FILL: Readonly<Record<string, (random: Random) => string>> = {
  N: (r) => {
    const noun = r.pick(NOUNS);
    const kind = r.next();
    if (kind < 0.25) return `${r.pick(ADJECTIVES)} ${noun}`;
    return kind < 0.33 ? `${noun} ${r.pick(NOUNS)}` : noun;
  },
  V: (r) => (r.chance(0.2) ? `${r.pick(ADVERBS)} ${r.pick(VERBS)}` : r.pick(VERBS)),
  J: (r) => (r.chance(0.15) ? `${r.pick(ADVERBS)} ${r.pick(ADJECTIVES)}` : r.pick(ADJECTIVES)),
  A: (r) => r.pick(ADVERBS),
  L: (r) => r.pick(PLACES),
  P: (r) => (r.chance(0.4) ? `${r.pick(GIVEN_NAMES)} ${familyName(r)}` : r.pick(GIVEN_NAMES)),
  D: (r) => r.pick(WEEKDAYS),
  T: (r) => `${r.int(24)}:${String(r.int(60)).padStart(2, '0')}`,
  Z: (r) => (r.chance(0.3) ? `${r.int(900)}.${r.int(10)}${r.int(10)}` : String(2 + r.int(r.chance(0.5) ? 12 : 990))),
};

/** People mistype about one word in thirty. */
function slip(word: string, random: Random): string {
  if (word.length < 4 || !random.chance(0.035)) return word;
  const at = 1 + random.int(word.length - 2);
  const kind = random.int(3);
  if (kind === 0) return word.slice(0, at) + word.charAt(at + 1) + word.charAt(at) + word.slice(at + 2);
  if (kind === 1) return word.slice(0, at) + word.slice(at + 1);
  return word.slice(0, at) + LETTERS.charAt(random.int(26)) + word.slice(at);
}

export function sentence(random: Random): string {
  let text = '';
  const pattern = random.pick(PATTERNS);
  for (const part of pattern) {
    const fill = FILL[part];
    const word = fill ? slip(fill(random), random) : GLUE[part] ? random.pick(GLUE[part]) : part;
    const glued = part === ',' || part === '.' || part === ';' || part === ':' || part === 'er';
    text += glued || text === '' ? word : ` ${word}`;
  }
  const end = random.next();
  return text.charAt(0).toUpperCase() + text.slice(1) + (end < 0.8 ? '.' : end < 0.88 ? '!' : end < 0.95 ? '?' : ' …');
}

/** Sentences up to about `letters`, with paragraphs. */
export function prose(random: Random, letters: number): string {
  let text = sentence(random);
  while (text.length < letters) text += (random.chance(0.12) ? '\n\n' : ' ') + sentence(random);
  return text;
}

export function personName(random: Random): string {
  return `${random.pick(GIVEN_NAMES)} ${familyName(random)}`;
}
