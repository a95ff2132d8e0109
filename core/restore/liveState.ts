/** State at T from the live tables and the trail: what was committed after T is undone, per record. */

import type { BoundTable } from '../datamap/types.ts';
import { readChanges } from '../history/changes.ts';
import type { Cut } from '../history/types.ts';
import type { Client } from '../sql.ts';
import { Crossing } from './crossing.ts';
import { foldStream } from './fold.ts';
import type { Stage } from './stage.ts';

/**
 * Stages every record of a tenant that has changed since the cut. The transaction is REPEATABLE READ, so the trail and the
 * live rows are of one snapshot. Returns how many records there are.
 */
export async function stageLive(
  client: Client,
  stage: Stage,
  tables: readonly BoundTable[],
  about: { readonly tenant: string; readonly cut: Cut; readonly droppedColumns: 'refuse' | 'ignore' },
): Promise<number> {
  const crossing = await Crossing.load(client, tables);
  crossing.check(about.cut, about.droppedColumns);
  const changes = readChanges(client, { organization: about.tenant, after: about.cut });
  return stage.load(foldStream(crossing.carry(changes), 'backward'));
}
