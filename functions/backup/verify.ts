import * as z from 'zod';
import { IntegrityError } from '../../core/errors.ts';
import { validate } from '../../core/snapshot/validate.ts';
import { lambda, task } from '../task.ts';
import { backupId } from './request.ts';

/** Signature, keys, presence and sizes; with `deep` every byte. Each object was read back when it was written, too. */
export const work = task({
  input: z.object({ backup: backupId, deep: z.boolean() }),
  run: async (ctx, { backup, deep }) => {
    const { objects, bytes, faults } = await validate(ctx, backup, { deep });
    if (faults.length === 0) return { objects, bytes, deep };
    throw new IntegrityError('HF_BACKUP_UNSOUND', `Backup ${backup} has ${faults.length} faults.`, {
      action: `Make another backup now, and look at this one with "holdfast validate --deep -p ${backup}".`,
      details: { backup, faults: faults.slice(0, 10) },
    });
  },
});

export const handler = lambda(work);
