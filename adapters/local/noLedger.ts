import type { ErasureLedger } from '../../core/ports.ts';

/** For installations where nobody has been erased yet: the hook runs and finds no one. */
export const noLedger: ErasureLedger = Object.freeze({ erased: async () => [] });
