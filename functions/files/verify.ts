import { IntegrityError } from '../../core/errors.ts';
import { checkFileItem } from '../../core/files/checkItem.ts';
import { lambda, task } from '../task.ts';
import { filesItemOf, stepOf } from './request.ts';

/** Listings by digest, and that every content that they name is there whole. Each was sealed and hashed when it was written. */
export const work = task({
  input: filesItemOf,
  run: async (ctx, input) => {
    const { item, of, backup } = input;
    const { objects, faults } = await checkFileItem(ctx, { ...stepOf(input), item, of });
    if (faults.length === 0) return { objects };
    throw new IntegrityError('HF_BACKUP_UNSOUND', `File backup ${backup} has ${faults.length} faults.`, {
      action: `Make another one now, and look at this one with "holdfast files check --deep -p ${backup}".`,
      details: { backup, faults: faults.slice(0, 10) },
    });
  },
});

export const handler = lambda(work);
