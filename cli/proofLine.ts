import type { Proof } from '../core/restore/restoreTest.ts';
import { count, duration, green, red } from './output.ts';

/** What the restore test of a new backup found, for a person. */
export const proofLine = (proof: Proof): string =>
  proof.ok
    ? `${green('proven')}: restored into a scratch database, every row of ${count(proof.tables.length, 'table')} compared, ${duration(proof.milliseconds)}`
    : `${red('NOT restorable')}: ${proof.failures.join('; ')}`;
