/** Reads the trail between two points of history, as a stream. */
import { type Client, ident } from '../sql.ts';
import { formatSnapshot } from './snapshots.ts';
import type { Change, Cut, Snapshot } from './types.ts';

export interface ChangeQuery {
  /** Only this tenant's; null: only rows that belong to none; undefined: all. */
  readonly organization?: string | null;
  /** Only changes that are not in this cut: what was committed after it. */
  readonly after?: Cut;
  /** Only changes that are in this cut. */
  readonly upTo?: Cut;
  /** Only changes that this snapshot does not see. */
  readonly from?: Snapshot;
  /** Only changes that this snapshot sees. */
  readonly to?: Snapshot;
  /** Ids of tables; default: all. */
  readonly tables?: readonly number[];
  /** Only these records (as `recordText` writes them). Give `tables` too. */
  readonly records?: readonly string[];
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
  const { conditions, values } = await where(client, query);
  const order = query.order === 'seq' ? 'c.seq' : 'c.table_id, c.record, coalesce(c.before_seq, c.seq), c.seq desc';
  cursors += 1;
  const name = ident(`holdfast_changes_${cursors}`);
  await client.query(
    `declare ${name} no scroll cursor with hold for
     select c.seq::text, c.before_seq::text as before, c.xid::text, c.at::text, c.table_id as "table", c.action::text,
            c.organization, c.record, c.person, c.user_id as "userId", c.actor::text, c.changes, c.metadata
       from holdfast.trail c ${conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''} order by ${order}`,
    values,
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

async function where(client: Client, query: ChangeQuery): Promise<{ conditions: string[]; values: string[] }> {
  const conditions: string[] = [];
  const literals: string[] = [];
  // DECLARE takes no parameters, so values are quoted here by the one function that does that.
  const quote = (value: string) => client.escapeLiteral(value);
  const sees = (s: Snapshot) => `pg_visible_in_snapshot(c.xid::text::xid8, ${quote(formatSnapshot(s))}::pg_snapshot)`;
  const inCut = (cut: Cut) =>
    cut.extra.length === 0
      ? sees(cut.snapshot)
      : `(${sees(cut.snapshot)} or c.xid = any ('{${cut.extra.join(',')}}'::bigint[]))`;

  const begin = query.after?.snapshot ?? query.from;
  if (begin) {
    conditions.push(`c.xid >= ${begin.xmin}`);
    const at = await earliest(client, begin);
    if (at) conditions.push(`c.at >= ${quote(at)}::timestamptz`);
  }
  if (query.after) conditions.push(`not ${inCut(query.after)}`);
  if (query.from) conditions.push(`not ${sees(query.from)}`);
  if (query.upTo) conditions.push(inCut(query.upTo));
  if (query.to) conditions.push(`c.xid < ${query.to.xmax}`, sees(query.to));
  if (query.organization === null) conditions.push('c.organization is null');
  else if (query.organization !== undefined) conditions.push(`c.organization = ${quote(query.organization)}`);
  if (query.tables) conditions.push(`c.table_id = any ('{${query.tables.map(Number).join(',')}}'::int[])`);
  if (query.records) {
    conditions.push(`c.record in (${query.records.map(quote).join(', ') || 'null'})`);
  }
  return { conditions, values: literals };
}

/**
 * No change that `begin` does not see was written before this time, so an index on time can be used. The horizons know it for
 * the transactions they list; for later ones the newest blocks of the trail are read.
 */
export async function earliest(client: Client, begin: Snapshot): Promise<string | null> {
  const { rows } = await client.query(
    `with known as (
       select h.id, h.first_at, h.snapshot from holdfast.horizons h
        where h.id > coalesce((select max(g.id) from holdfast.horizons g where pg_snapshot_xmax(g.snapshot)::text::bigint <= $1), 0)
     ), last as (select snapshot from holdfast.horizons order by id desc limit 1)
     select least((select min(first_at) from known),
                  (select min(t.at) from holdfast.trail t, last
                    where t.xid >= pg_snapshot_xmin(last.snapshot)::text::bigint
                      and not pg_visible_in_snapshot(t.xid::text::xid8, last.snapshot)))::text as at,
            exists (select from last) as yes`,
    [begin.xmin.toString()],
  );
  return rows[0]?.yes ? rows[0].at : null;
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
