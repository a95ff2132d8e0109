/** What happened to one record. */
import { type Client, literal } from '../../sql.ts';
import { advance } from '../advance.ts';
import { CHANGE_COLUMNS, readChange } from './changes.ts';
import { decodePlace, encodePlace } from './place.ts';
import { ask, askOne, stream } from './stream.ts';
import { findSubject, recordOf } from './subject.ts';
import type { Paging, Placed, Version } from './types.ts';

export interface HistoryQuery extends Paging {
  readonly table: string;
  /** A text for each column of the key, in its order or each as `column=value`. */
  readonly key: readonly string[];
  /** Only while the record was this tenant's. */
  readonly tenant?: string;
}

export interface RecordHistory {
  readonly table: string;
  readonly record: string;
  /** The table's history begins here; what the record was before is what its first change replaced. */
  readonly begins: string;
  /** Newest first. */
  readonly versions: AsyncGenerator<Placed<Version>>;
}

/**
 * Every committed change of the record. It costs what the record's own changes cost, however long the trail is.
 * @throws ConfigError HF_TABLE_UNKNOWN, HF_NOT_PROTECTED, HF_KEY_INVALID, HF_PLACE_INVALID; RestoreError HF_NO_KEY
 */
export async function history(client: Client, query: HistoryQuery): Promise<RecordHistory> {
  const subject = await findSubject(client, query.table);
  const record = await recordOf(client, subject, query.key);
  const from =
    query.after === undefined ? undefined : decodePlace('history', query.after, ['record', 'place', 'seq', 'until']);
  await advance(client); // so that each transaction's commit time is noted before it is asked for
  const { rows } = await ask(
    client,
    `select to_char(greatest(t.protected_at, (select min(h.moment) from holdfast.horizons h)) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
       from holdfast.tables t where t.id = $1`,
    [subject.id],
  );
  const after = from
    ? `and (coalesce(c.before_seq, c.seq) < ${literal(from.place)} or coalesce(c.before_seq, c.seq) = ${literal(from.place)} and c.seq > ${literal(from.seq)})`
    : '';
  const limit = query.limit === undefined ? '' : ` limit ${query.limit + 1}`;
  async function* versions(): AsyncGenerator<Placed<Version>> {
    const write = async () => {
      const sql = await askOne(client, 'select holdfast.history_sql($1, $2, $3, $4)', [
        subject.id,
        record,
        query.tenant ?? null,
        `${after} order by coalesce(c.before_seq, c.seq) desc, c.seq${limit}`,
      ]);
      return `select ${CHANGE_COLUMNS} from (${sql}) h order by h.place desc, h.seq`;
    };
    let until: string | null = from?.until || null;
    for await (const { row } of stream(client, write)) {
      const { change, place } = readChange(row);
      const item = { ...change, until };
      until = change.committedAt;
      const next = { record, place, seq: change.seq, until: change.committedAt ?? '' };
      yield { item, place: () => encodePlace('history', next) };
    }
  }
  return { table: subject.name, record, begins: rows[0]![0]!, versions: versions() };
}
