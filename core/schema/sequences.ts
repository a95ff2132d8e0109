import { type Client, joinTableName, literal, qualified, tableSql } from '../sql.ts';
import { userSchema } from './read/conditions.ts';

/** Where a sequence stands. It is data, not structure: every insert moves it. */
export interface SequenceValue {
  /** `schema.sequence`, written as table names are in the data map. */
  readonly name: string;
  /** Of `last_value`; a bigint as text. */
  readonly value: string;
  /** False before the first `nextval`, which then returns `value` itself. */
  readonly called: boolean;
}

/** Reads all sequences of the user, identity ones included, in name order. Sequences take no part in snapshots. */
export async function readSequences(client: Client): Promise<readonly SequenceValue[]> {
  const { rows } = await client.query<{ schema: string; relname: string }>(
    `select n.nspname as schema, c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'S' and ${userSchema('n')} order by n.nspname collate "C", c.relname collate "C"`,
  );
  if (rows.length === 0) return [];
  const each = rows.map(
    ({ schema, relname }) =>
      `select ${literal(joinTableName(schema, relname))} as name, last_value::text as value, is_called as called
         from ${qualified(schema, relname)}`,
  );
  return (await client.query<SequenceValue>(each.join(' union all '))).rows;
}

/**
 * Sets sequences to recorded values. Those that do not exist are skipped and returned by name.
 * @throws the server's error when a value is outside the sequence's bounds
 */
export async function writeSequences(client: Client, values: readonly SequenceValue[]): Promise<readonly string[]> {
  if (values.length === 0) return [];
  const { rows } = await client.query<{ name: string; missing: boolean }>(
    `select v.name, to_regclass(v.sql) is null as missing,
            case when to_regclass(v.sql) is not null then setval(to_regclass(v.sql), v.value::bigint, v.called) end
       from unnest($1::text[], $2::text[], $3::text[], $4::boolean[]) v(name, sql, value, called)`,
    [
      values.map((v) => v.name),
      values.map((v) => tableSql(v.name)),
      values.map((v) => v.value),
      values.map((v) => v.called),
    ],
  );
  return rows.filter((row) => row.missing).map((row) => row.name);
}
