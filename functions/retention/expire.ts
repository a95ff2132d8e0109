import * as z from 'zod';
import { execution } from '../backup/request.ts';
import { type Expired, removeExpired } from '../cleanup/removeExpired.ts';
import { lambda, type TaskContext, task } from '../task.ts';

/**
 * Objects come in any order and may come late, and whether a backup is still being made is known only where the database is: a month
 * without a manifest is long enough.
 */
const GRACE_HOURS = 30 * 24;

const NOTHING: Expired = { done: true, kept: null, removed: 0, bytes: 0, attention: 0, refused: [], damaged: [] };

/** Where copies are, with no database beside them. */
export const work = task({
  input: z.object({ execution, request: z.strictObject({}) }),
  run: async (ctx, { execution, request }) => {
    const retention = retentionHere(ctx);
    const report = retention ? await removeExpired(ctx, retention, { graceHours: GRACE_HOURS }) : NOTHING;
    return { execution, request, report };
  },
});

/**
 * What the location of holdfast.yaml keeps whose store this is; undefined: everything, for it says nothing of it. A copy that is not
 * listed there keeps what the primary location does.
 */
function retentionHere({ settings, store }: Pick<TaskContext, 'settings' | 'store'>) {
  const here = settings.locations.find(
    (location) => location.kind !== 'primary' && placeOf(location.store) === placeOf(store.description),
  );
  return here ? here.retention : settings.retention;
}

/** Bucket and prefix, without how they are reached. */
const placeOf = (store: string): string => store.replace(/\?.*$/, '').replace(/\/+$/, '');

export const handler = lambda(work);
