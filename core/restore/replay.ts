/**
 * Brings base rows forward: what a log comes to, carried over rows that came out of a backup. The rows stand either in the
 * tables of a database that is being made, before it has keys, or in staging tables. Doing it twice does no harm.
 */
import { IntegrityError } from '../errors.ts';
import { type Client, ident } from '../sql.ts';
import type { StagedTable } from './stage.ts';
import { keyMatch } from './target.ts';

export interface Replayed {
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

/** Applies the nets staged in `net` to the rows of `into` (SQL name). */
export async function replay(client: Client, net: StagedTable, into: string): Promise<Replayed> {
  const { target, sql } = net;
  const match = keyMatch(target, 't', 'n');
  await client.query(`analyze ${sql}`);
  const removed = await client.query(
    `delete from ${into} t using ${sql} n where ${match} and n._hf_kind in ('A', 'F')`,
  );
  const set = target.columns
    .filter((c) => !target.bound.key.includes(c.name))
    .map(
      (c) =>
        `${ident(c.name)} = case when ${c.attnum} = any(n._hf_set) then n.${ident(c.name)} else t.${ident(c.name)} end`,
    );
  const { rows } = await client.query(`select count(*)::int as partial from ${sql} where _hf_kind = 'P'`);
  let updated = 0;
  if (rows[0].partial > 0) {
    const result = await client.query(
      `update ${into} t set ${set.join(', ')} from ${sql} n where ${match} and n._hf_kind = 'P'`,
    );
    updated = result.rowCount ?? 0;
    if (updated !== rows[0].partial) throw await missing(client, net, into);
  }
  const columns = target.columns.map((c) => ident(c.name)).join(', ');
  const override =
    target.columns.some((c) => c.identityAlways) && into === target.sql ? ' overriding system value' : '';
  const inserted = await client.query(
    `insert into ${into} (${columns})${override} select ${columns} from ${sql} where _hf_kind = 'F'`,
  );
  return { inserted: inserted.rowCount ?? 0, updated, deleted: removed.rowCount ?? 0 };
}

async function missing(client: Client, net: StagedTable, into: string): Promise<IntegrityError> {
  const { target, sql } = net;
  const { rows } = await client.query(
    `select n._hf_record as record from ${sql} n
      where n._hf_kind = 'P' and not exists (select from ${into} t where ${keyMatch(target, 't', 'n')}) limit 5`,
  );
  const records = rows.map((r) => r.record as string);
  return new IntegrityError(
    'HF_LOG_GAP',
    `The log changes rows of ${target.bound.name} that the base does not hold: ${records.join(', ') || 'the same row twice'}.`,
    {
      action:
        'A part of the history is not in this store. Restore from another full backup, or from another copy of the store.',
      details: { table: target.bound.name, records },
    },
  );
}
