/** Reads the changes that an undo has to know, ordered by record, as a stream of chains ready to be merged. */
import { markRedacted } from '../../history/redacted.ts';
import type { Change, Text } from '../../history/types.ts';
import { type Client, literal } from '../../sql.ts';
import type { Selection } from './scope.ts';

export interface MarkedChange extends Change {
  /** It is to be undone; the others came later and stay. */
  readonly undone: boolean;
}

const BATCH = 5000;
const ORDER = 'c.table_id, c.record, coalesce(c.before_seq, c.seq), c.seq desc';

/**
 * Declares the cursor and fetches its first rows, for a message that may begin with other statements; the cursor ends with the
 * transaction. With `others`, every record of an undone change is read from that change on. The minutes are for a clock that was
 * set back between two changes of a record. The joins go record by record, whatever the planner thinks of how many there are.
 */
export function readSql(tenant: string, selection: Selection): string[] {
  const own = `c.organization = ${literal(tenant)} and c.action <> 'T'`;
  const found = `${own} and ${selection.where.join(' and ')}`;
  const columns = `c.seq::text, c.before_seq::text as before, c.xid::text, c.at::text, c.table_id as "table", c.action::text,
    c.organization, c.record, c.person, c.user_id as "userId", c.actor::text, c.changes, c.metadata`;
  const sql = selection.others
    ? `with r as materialized (
         select c.table_id, c.record, min(c.at) as at, min(coalesce(c.before_seq, c.seq)) as place
           from holdfast.trail c where ${found} group by 1, 2)
       select ${columns}, r.table_id as known, ${selection.undone} as undone
         from r left join holdfast.trail c on c.table_id = r.table_id and c.record = r.record
          and c.at >= r.at - interval '10 minutes' and coalesce(c.before_seq, c.seq) >= r.place and ${own}
        order by ${ORDER}`
    : `select ${columns}, c.table_id as known, true as undone from holdfast.trail c where ${found} order by ${ORDER}`;
  return [
    'set local cursor_tuple_fraction = 1',
    'set local enable_hashjoin = off',
    'set local enable_mergejoin = off',
    `declare holdfast_undo no scroll cursor for ${sql}`,
    `fetch ${BATCH} from holdfast_undo`,
  ];
}

/** Streams the changes on from the rows that were fetched first; memory is one batch. */
export async function* streamMarked(client: Client, first: readonly Raw[]): AsyncGenerator<MarkedChange> {
  for (let rows = first; ; ) {
    for (const row of rows) yield toChange(row);
    if (rows.length < BATCH) return;
    ({ rows } = await client.query(`fetch ${BATCH} from holdfast_undo`));
  }
}

export type Raw = Omit<MarkedChange, 'seq' | 'before' | 'xid'> & {
  seq: string;
  before: string | null;
  xid: string;
  /** Where the change names no record, it is not found by it, and this is all that is known of it. */
  known: number;
};

function toChange({ known, ...row }: Raw): MarkedChange {
  // What names no record was not joined, and nothing else is known of it.
  if (row.record === null) return { ...row, table: known, seq: 0n, before: null, xid: 0n };
  return {
    ...markRedacted(row),
    table: known,
    seq: BigInt(row.seq),
    before: row.before === null ? null : BigInt(row.before),
    xid: BigInt(row.xid),
  };
}

/**
 * A change of owner is written as a row that goes and a row that comes. Where both are the same record of the same tenant, it is
 * one update of the columns that differ.
 */
export async function* joinMoves(changes: AsyncIterable<MarkedChange>): AsyncGenerator<MarkedChange> {
  let gone: MarkedChange | undefined;
  for await (const change of changes) {
    if (gone) {
      if (isArrival(change, gone)) {
        yield asUpdate(gone, change);
        gone = undefined;
        continue;
      }
      yield gone;
      gone = undefined;
    }
    if (change.action === 'D' && change.metadata?.moved) gone = change;
    else yield change;
  }
  if (gone) yield gone;
}

const isArrival = (change: MarkedChange, gone: MarkedChange): boolean =>
  change.action === 'I' &&
  change.metadata?.moved === true &&
  change.table === gone.table &&
  change.record === gone.record &&
  change.xid === gone.xid;

function asUpdate(gone: MarkedChange, come: MarkedChange): MarkedChange {
  const was = gone.changes as Record<string, Text>;
  const differing = Object.entries(come.changes as Record<string, Text>).filter(([c, value]) => was[c] !== value);
  return {
    ...come,
    action: 'U',
    changes: Object.fromEntries(differing.map(([c, value]) => [c, [was[c] ?? null, value]])),
  };
}
