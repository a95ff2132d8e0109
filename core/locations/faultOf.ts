/** Tells a fault of one object, which is reported, from one that ends a run. */
import { type HoldfastError, IntegrityError, KeyError } from '../errors.ts';
import type { ObjectStore } from '../ports.ts';
import { MARKER } from '../snapshot/store.ts';
import { ReadFailed } from './copyObject.ts';

const KEY_FAULTS = ['HF_KEY_WRONG', 'HF_KEY_MISSING', 'HF_PERSON_KEY_UNKNOWN'];

/** What is wrong with one object of the source, or of the target. @throws anything else */
export async function faultOf(source: ObjectStore, error: unknown): Promise<HoldfastError> {
  const fault = error instanceof ReadFailed ? error.cause : error;
  if (fault instanceof IntegrityError) return fault;
  if (fault instanceof KeyError && KEY_FAULTS.includes(fault.code)) return fault;
  if (!(error instanceof ReadFailed)) throw error;
  // One bad sector is a fault of that object; a source that answers nothing at all is not.
  await source.get(MARKER);
  return error as HoldfastError;
}
