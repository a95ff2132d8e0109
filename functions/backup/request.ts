/** What a backup can be asked for, and how its steps name what they are about. */
import * as z from 'zod';
import type { BackupOptions } from '../../core/snapshot/opening.ts';

const names = z.array(z.string().min(1)).min(1).nullable().default(null);

const backupRequest = z.strictObject({
  /** null: everything */
  tenant: z.string().min(1).nullable().default(null),
  type: z.enum(['full', 'incremental', 'differential', 'transaction_log']).default('full'),
  /** null: all protected tables */
  tables: names,
  exclude: names,
  /** A restore test afterwards. */
  prove: z.boolean().default(true),
  /** Every byte read back once more, beyond the reading back of each object as it is written. */
  deep: z.boolean().default(false),
  /** Functions that copy at once, each with a connection of its own. */
  concurrency: z.int().min(1).max(1000).default(8),
  /** Raw bytes per chunk. */
  chunkBytes: z
    .int()
    .min(1)
    .max(256 << 20)
    .optional(),
});

export type BackupRequest = z.infer<typeof backupRequest>;

export const execution = z.string().min(1);
export const backupId = z.string().regex(/^[0-9]{8}T[0-9]{6,9}Z-[a-z-]+-[0-9a-f]+$/, 'not the id of a backup');

export const backupStart = z.object({ execution, request: backupRequest });

/** What the core takes: absent where the request says null. */
export const optionsOf = ({ type, tenant, tables, exclude, chunkBytes }: BackupRequest): BackupOptions => ({
  type,
  ...(tenant === null ? {} : { tenant }),
  ...(tables === null ? {} : { tables }),
  ...(exclude === null ? {} : { exclude }),
  ...(chunkBytes === undefined ? {} : { chunkBytes }),
});
