import * as z from 'zod';

export const kind = z.enum(['cluster', 'instance']);
/** What the definition calls the snapshots that it makes. */
export const snapshot = z.string().regex(/^holdfast-[0-9a-f]{40}$/, 'not the name of a snapshot');
