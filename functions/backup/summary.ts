/** A backup in few words: a manifest does not fit into the payload of a state machine. */
import type { Manifest } from '../../core/snapshot/types.ts';

export const summaryOf = ({ id, type, tenant, parent, horizon, finishedAt, totals, objects }: Manifest) => ({
  backup: id,
  type,
  tenant,
  parent,
  horizon,
  finishedAt,
  rows: totals.rows,
  changes: totals.changes,
  bytes: totals.bytes,
  objects: objects.length,
});
