/** State at T from the live tables and the trail: what was committed after T is undone, per record. */
import { readChanges } from '../history/changes.ts';
import type { Cut } from '../history/types.ts';
import type { Client } from '../sql.ts';
import { foldStream } from './fold.ts';
import type { Stage } from './stage.ts';

/**
 * Stages every record of a tenant that has changed since the cut. The transaction is REPEATABLE READ, so the trail and the
 * live rows are of one snapshot. Returns how many records there are.
 */
export function stageLive(client: Client, stage: Stage, tenant: string, cut: Cut): Promise<number> {
  return stage.load(foldStream(readChanges(client, { organization: tenant, after: cut }), 'backward'));
}
