import * as z from 'zod';
import { logStep } from '../../core/catalog/record.ts';
import { IntegrityError } from '../../core/errors.ts';
import { databaseOf } from '../../core/snapshot/backup.ts';
import { connect } from '../../core/sql.ts';
import { execution } from '../backup/request.ts';
import { lambda, task } from '../task.ts';

/** One verdict out of all that was found, kept in the catalog; anything wrong fails the execution, and so tells people. */
export const work = task({
  input: z.object({
    execution,
    parts: z.array(z.object({ faults: z.int().min(0) })),
    trail: z.object({ ok: z.boolean(), faults: z.int().min(0) }),
  }),
  run: async (ctx, { execution, parts, trail }) => {
    const faults = parts.reduce((sum, part) => sum + part.faults, 0);
    const verdict = { parts: parts.length, faults, trail: trail.ok };
    if (faults === 0 && trail.ok) {
      const client = await connect(databaseOf(ctx), 'holdfast-record');
      const line = {
        backup: null,
        tenant: null,
        step: 'integrity-check',
        result: 'ok',
        detail: { execution, ...verdict },
      };
      await logStep(client, { ...line, result: 'ok' }).finally(() => client.end());
      return verdict;
    }
    throw new IntegrityError('HF_INTEGRITY', `${faults} faults in backups, ${trail.faults} in the trail.`, {
      action:
        'Run "holdfast validate --deep" and "holdfast audit verify": they name each. Bring objects back from another location.',
      details: { ...verdict, trailFaults: trail.faults },
    });
  },
});

export const handler = lambda(work);
