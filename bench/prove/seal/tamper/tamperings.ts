/** Every way to tamper with a sealed database that its ruler has, who lacks only the signing key and the store. */
import { blanks } from './blanks.ts';
import { edits } from './edits.ts';
import { rows } from './rows.ts';
import { seals } from './seals.ts';
import { segments } from './segments.ts';
import type { Tampering } from './tampering.ts';

export const tamperings: readonly Tampering[] = [...edits, ...rows, ...blanks, ...seals, ...segments];
