/** Reads the trail between two points of history, as a stream. */
import { type Client, ident, literal } from '../sql.ts';
import type { Change, Cut, Snapshot } from './types.ts';
import { inCutSql, sinceSql, visibleSql } from './visibleSql.ts';

export interface ChangeQuery {
  /** Only this tenant's. @default all */
  readonly organization?: string;
  /** Only changes that are not in this cut: what was committed after it. */
  readonly after?: Cut;
  /** Only changes that this snapshot does not see. */
  readonly from?: Snapshot;
  /** Only changes that this snapshot sees. */
  readonly to?: Snapshot;
  /** `record`: by table, record and the order of the changes to it. `seq`: in the order they were written. @default 'record' */
  readonly order?: 'record' | 'seq';
}

const BATCH = 2000;
let cursors = 0;

/**
 * Streams changes through a server-side cursor; memory is one batch of 2,000. Works inside a transaction and outside of one.
 * Both bounds are snapshots: a bound on seq or on time would skip what commits late.
 */
export async function* readChanges(client: Client, query: ChangeQuery): AsyncIterable<Change> {
  const order = query.order === 'seq' ? 'c.seq' : 'c.table_id, c.record, coalesce(c.before_seq, c.seq), c.seq desc';
  cursors += 1;
  const name = ident(`holdfast_changes_${cursors}`);
  await client.query(
    `declare ${name} no scroll cursor with hold for
     select c.seq::text, c.before_seq::text as before, c.xid::text, c.at::text, c.table_id as "table", c.action::text,
            c.organization, c.record, c.person, c.user_id as "userId", c.actor::text, c.changes, c.metadata
       from holdfast.trail c ${where(query)} order by ${order}`,
  );
  try {
    for (;;) {
      const { rows } = await client.query(`fetch ${BATCH} from ${name}`);
      for (const row of rows) yield toChange(row);
      if (rows.length < BATCH) return;
    }
  } finally {
    await client.query(`close ${name}`).catch(() => {}); // the transaction may have failed already, and the cursor with it
  }
}

function where({ organization, after, from, to }: ChangeQuery): string {
  const conditions: string[] = [];
  const begin = after?.snapshot ?? from;
  if (begin) {
    conditions.push(`c.at >= ${sinceSql(begin)}`);
    // A tenant's changes are found by their own index. With a bound on xid beside it the planner would take the index on xid, and
    // read what all tenants have written since that was summarised.
    if (organization === undefined) conditions.push(`c.xid >= ${begin.xmin}`);
  }
  if (after) conditions.push(`not ${inCutSql('c.xid', after)}`);
  if (from) conditions.push(`not ${visibleSql('c.xid', from)}`);
  if (to) conditions.push(`c.xid < ${to.xmax}`, visibleSql('c.xid', to));
  if (organization !== undefined) conditions.push(`c.organization = ${literal(organization)}`);
  return conditions.length > 0 ? `where ${conditions.join(' and ')}` : '';
}

// biome-ignore lint/suspicious/noExplicitAny: node-postgres rows
function toChange(row: any): Change {
  return {
    ...row,
    seq: BigInt(row.seq),
    before: row.before === null ? null : BigInt(row.before),
    xid: BigInt(row.xid),
  };
}
