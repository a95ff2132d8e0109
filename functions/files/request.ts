/** What a backup of users' files can be asked for, and how its steps name what they are about. */
import * as z from 'zod';
import type { FileRunStep } from '../../core/files/step.ts';
import type { FileSet } from '../../core/files/types.ts';
import { backupId, execution } from '../backup/request.ts';
import type { TaskContext } from '../task.ts';

export const filesStart = z.object({
  execution,
  request: z.strictObject({
    /** null: every tenant, and files of no tenant */
    tenant: z.string().min(1).nullable().default(null),
    /** Functions that copy at once, each with a connection of its own. */
    concurrency: z.int().min(1).max(1000).default(8),
    /** About so many files are looked at by one function. */
    itemFiles: z.int().min(1).max(100_000).default(16_384),
  }),
});

const tenant = z.string().nullable();
const count = z.int().min(0);

export const filesRun = z.object({ backup: backupId, tenant });
export const filesItem = filesRun.extend({ item: count });
export const filesItemOf = filesItem.extend({ of: z.int().min(1) });

export const stepOf = ({ backup, tenant }: z.infer<typeof filesRun>): FileRunStep => ({ run: backup, tenant });

/** The sets of holdfast.yaml, with their sources opened; nothing is asked of these yet. */
export const fileSets = ({ settings, files }: TaskContext): Promise<FileSet[]> =>
  Promise.all(settings.files.map(async (set) => ({ ...set, source: await files.open(set.from) })));
