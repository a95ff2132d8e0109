/** A table, a tenant's part of it, or one record, as it was. */
import { formatMoment } from '../../moment.ts';
import type { Client } from '../../sql.ts';
import { recordText } from '../record.ts';
import { decodePlace, encodePlace } from './place.ts';
import { ask, askOne, stream } from './stream.ts';
import { findSubject, oidOf, recordOf, requireTenant } from './subject.ts';
import type { Paging, Placed, Row, Value, When } from './types.ts';
import { cutAt, cutText } from './when.ts';

export interface StateQuery extends Paging {
  /** `schema.table`, or a table of the schema public. */
  readonly table: string;
  readonly at: When;
  /** @default every tenant */
  readonly tenant?: string;
  /** One record: a text for each column of the key, in its order or each as `column=value`. @default all records */
  readonly key?: readonly string[];
}

export interface State {
  readonly table: string;
  /** ISO 8601. */
  readonly moment: string;
  /** As they are called today, in the table's order. */
  readonly columns: readonly string[];
  readonly key: readonly string[];
  /** Columns that the table had then and has no longer: rows cannot show them, the history of a record does. */
  readonly lost: readonly string[];
  /** In the order of the key when a limit or a place was given, else in none. */
  readonly rows: AsyncGenerator<Placed<Row>>;
}

/**
 * The same moment gives the same rows, whenever it is asked. Live rows that have not changed since are read from the table, by
 * the tenant's or the key's index; the others are what their changes undone leave.
 * @throws ConfigError HF_TABLE_UNKNOWN, HF_NOT_PROTECTED, HF_KEY_INVALID, HF_PLACE_INVALID; RestoreError HF_TIME_…,
 * HF_RESTORE_POINT_UNKNOWN, HF_TENANT_UNKNOWN, HF_SCHEMA_CHANGED, HF_NO_KEY
 */
export async function stateAsOf(client: Client, query: StateQuery): Promise<State> {
  const subject = await findSubject(client, query.table);
  const oid = oidOf(subject);
  const from = query.after === undefined ? undefined : decodePlace('state', query.after, ['at', 'table', 'record']);
  const cut = await cutAt(client, from ? { moment: from.at } : query.at, query.tenant);
  await requireTenant(client, query.tenant);
  const record = query.key ? await recordOf(client, subject, query.key) : null;
  const moment = formatMoment(cut.moment);
  const values = [oid, cutText(cut)];
  const columns = await askOne(
    client,
    `select json_agg(a.attname order by a.attnum) from pg_attribute a where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped`,
    [oid],
  );
  // Asked for here too, so that what is refused is refused before the first row is.
  const most = query.limit === undefined ? null : query.limit + 1;
  const write = () =>
    askOne(client, 'select holdfast.as_of_sql($1::oid::regclass, $2, $3, $4, $5, $6, true)', [
      ...values,
      query.tenant ?? null,
      record,
      from?.record ?? null,
      most,
    ]);
  await write();
  const lost = await ask(client, 'select holdfast.lost(t, $2) from holdfast.tables t where t.oid = $1', values);
  async function* rows(): AsyncGenerator<Placed<Row>> {
    for await (const { columns: all, row } of stream(client, async () => (await write())!)) {
      const columns = all.slice(0, -1);
      const item = Object.fromEntries(columns.map((name, i): [string, Value] => [name, row[i]!]));
      const redacted = row.at(-1);
      if (redacted) for (const name of Object.keys(JSON.parse(redacted))) item[name] = { redacted: true };
      const place = () => {
        const record = recordText(subject.key.map((name) => item[name] as string));
        return encodePlace('state', { at: moment, table: subject.name, record });
      };
      yield { item, place };
    }
  }
  return {
    table: subject.name,
    moment,
    columns: JSON.parse(columns!) as string[],
    key: subject.key,
    lost: lost.rows.map(([name]) => name!),
    rows: rows(),
  };
}
