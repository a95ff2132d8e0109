/** A restore request in few words: its preview may hold thousands of rows. */
import type { RestoreRequest } from '../../core/restore/requests/types.ts';

export const restoreOf = ({
  id,
  kind,
  tenant,
  state,
  plan,
  requestedBy,
  decidedBy,
  expiresAt,
  restorePoint,
}: RestoreRequest) => ({
  id,
  kind,
  tenant,
  state,
  totals: plan.totals,
  requestedBy,
  decidedBy,
  expiresAt,
  restorePoint,
});
