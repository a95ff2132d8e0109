/** What a user did, or everyone. */
import { formatMoment } from '../../moment.ts';
import { type Client, literal } from '../../sql.ts';
import { CHANGE_COLUMNS, readChange } from './changes.ts';
import { decodePlace, encodePlace } from './place.ts';
import { askOne, stream } from './stream.ts';
import { findSubject, requireTenant } from './subject.ts';
import type { ChangeRead, Paging, Placed, When } from './types.ts';
import { beginning, cutAt, cutText } from './when.ts';

export interface ActivityQuery extends Paging {
  /** As the application names users in `holdfast.set_actor`. @default everyone, and changes without a user */
  readonly user?: string;
  /** @default where history begins */
  readonly from?: When;
  /** @default 'now' */
  readonly to?: When;
  readonly tenant?: string;
  readonly table?: string;
}

export interface Activity {
  readonly from: string;
  readonly to: string;
  /** Newest first, in the order in which they were written. */
  readonly changes: AsyncGenerator<Placed<ChangeRead>>;
}

/**
 * What was committed after `from` and by `to`.
 * @throws ConfigError HF_TABLE_UNKNOWN, HF_NOT_PROTECTED, HF_PLACE_INVALID; RestoreError HF_TIME_…, HF_TENANT_UNKNOWN
 */
export async function activity(client: Client, query: ActivityQuery): Promise<Activity> {
  const subject = query.table === undefined ? undefined : await findSubject(client, query.table);
  const place =
    query.after === undefined ? undefined : decodePlace('activity', query.after, ['from', 'to', 'at', 'seq']);
  const lowest = place ? ({ moment: place.from } as const) : query.from;
  const low = lowest ? await cutAt(client, lowest, query.tenant) : await beginning(client);
  const high = await cutAt(client, place ? { moment: place.to } : (query.to ?? 'now'), query.tenant);
  await requireTenant(client, query.tenant);
  const from = formatMoment(low.moment);
  const to = formatMoment(high.moment);
  const tail = [
    subject ? `and c.table_id = ${subject.id}` : '',
    place ? `and (c.at, c.seq) < (${literal(place.at)}::timestamptz, ${literal(place.seq)}::bigint)` : '',
    'order by c.at desc, c.seq desc',
    query.limit === undefined ? '' : `limit ${query.limit + 1}`,
  ].join(' ');
  async function* changes(): AsyncGenerator<Placed<ChangeRead>> {
    const write = async () => {
      const sql = await askOne(client, 'select holdfast.activity_sql($1, $2, $3, $4, $5)', [
        query.user ?? null,
        cutText(low),
        cutText(high),
        query.tenant ?? null,
        tail,
      ]);
      return `select ${CHANGE_COLUMNS} from (${sql}) h order by h.at desc, h.seq desc`;
    };
    for await (const { row } of stream(client, write)) {
      const { change, at } = readChange(row);
      yield { item: change, place: () => encodePlace('activity', { from, to, at, seq: change.seq }) };
    }
  }
  return { from, to, changes: changes() };
}
