/** What differs between two moments. */
import { formatMoment } from '../../moment.ts';
import type { Client } from '../../sql.ts';
import { decodePlace, encodePlace } from './place.ts';
import { askOne, stream } from './stream.ts';
import { findSubject, oidOf, recordOf, requireTenant } from './subject.ts';
import type { Difference, Paging, Placed, When } from './types.ts';
import { cutAt, cutText } from './when.ts';

export interface DiffQuery extends Paging {
  readonly table: string;
  readonly from: When;
  /** @default 'now' */
  readonly to?: When;
  readonly tenant?: string;
  /** One record: a text for each column of the key. @default all records */
  readonly key?: readonly string[];
}

export interface Diff {
  readonly table: string;
  readonly from: string;
  readonly to: string;
  /** In the byte order of the record ids. What changed and changed back is not among them. */
  readonly differences: AsyncGenerator<Placed<Difference>>;
}

/**
 * Reads what was changed between the two moments, and for those records what was changed after; never a whole table.
 * @throws as `stateAsOf` does; ConfigError HF_ARGUMENT_INVALID when `to` is before `from`
 */
export async function diff(client: Client, query: DiffQuery): Promise<Diff> {
  const subject = await findSubject(client, query.table);
  const oid = oidOf(subject);
  const place = query.after === undefined ? undefined : decodePlace('diff', query.after, ['from', 'to', 'record']);
  const low = await cutAt(client, place ? { moment: place.from } : query.from, query.tenant);
  const high = await cutAt(client, place ? { moment: place.to } : (query.to ?? 'now'), query.tenant);
  await requireTenant(client, query.tenant);
  const record = query.key ? await recordOf(client, subject, query.key) : null;
  const from = formatMoment(low.moment);
  const to = formatMoment(high.moment);
  const write = () =>
    askOne(client, 'select holdfast.diff_sql($1::oid::regclass, $2, $3, $4, $5, $6)', [
      oid,
      cutText(low),
      cutText(high),
      query.tenant ?? null,
      record,
      place?.record ?? null,
    ]);
  await write(); // refuses before the first row is asked for
  const limit = query.limit === undefined ? '' : ` limit ${query.limit + 1}`;
  async function* differences(): AsyncGenerator<Placed<Difference>> {
    const sql = async () =>
      `select d.record, d.action, d.before, d.after, to_json(d.columns) from (${await write()}) d${limit}`;
    for await (const { row } of stream(client, sql)) {
      const [id, action, before, after, columns] = row;
      const item = {
        table: subject.name,
        record: id!,
        action: action as Difference['action'],
        before: before ? JSON.parse(before) : null,
        after: after ? JSON.parse(after) : null,
        columns: JSON.parse(columns!) as string[],
      };
      yield { item, place: () => encodePlace('diff', { from, to, record: id! }) };
    }
  }
  return { table: subject.name, from, to, differences: differences() };
}
