import { type Client, ident, literal } from '../sql.ts';

/** Partitions hold one calendar month (UTC) each: this one and the next two are there ahead of time. */
const MONTHS_AHEAD = 2;

/** Creates the partitions that are missing and returns their names. Rows that waited in the default partition move in. */
export async function createPartitions(client: Client): Promise<string[]> {
  const { rows } = await client.query(
    `select to_char(m, 'YYYY_MM') as name, to_char(m, 'YYYY-MM-DD') || ' 00:00+00' as low,
            to_char(m + interval '1 month', 'YYYY-MM-DD') || ' 00:00+00' as high
       from generate_series(date_trunc('month', now() at time zone 'UTC'),
                            date_trunc('month', now() at time zone 'UTC') + $1 * interval '1 month', interval '1 month') m
      where to_regclass('holdfast.trail_' || to_char(m, 'YYYY_MM')) is null`,
    [MONTHS_AHEAD],
  );
  await client.query('create table if not exists holdfast.trail_default partition of holdfast.trail default');
  for (const row of rows) await createPartition(client, `trail_${row.name}`, row.low, row.high);
  return rows.map((row) => `trail_${row.name}`);
}

async function createPartition(client: Client, name: string, low: string, high: string): Promise<void> {
  const table = `holdfast.${ident(name)}`;
  const range = `at >= ${literal(low)} and at < ${literal(high)}`;
  await client.query('lock table holdfast.trail in share row exclusive mode');
  await client.query(`create table ${table} (like holdfast.trail including defaults)`);
  await client.query(
    `with late as (delete from holdfast.trail_default where ${range} returning *) insert into ${table} select * from late`,
  );
  await client.query(
    `alter table holdfast.trail attach partition ${table} for values from (${literal(low)}) to (${literal(high)})`,
  );
}
