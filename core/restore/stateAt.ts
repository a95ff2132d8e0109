/** The state at a cut as queries: live rows that have not changed since, and the staged rows that have. Nothing is written. */

import { tenantPredicate } from '../datamap/reach.ts';
import type { BoundMap, BoundTable } from '../datamap/types.ts';
import { readChanges } from '../history/changes.ts';
import type { Cut } from '../history/types.ts';
import { type Client, ident, literal } from '../sql.ts';
import { Crossing } from './crossing.ts';
import { type Digests, digestSql, rowText, type TableDigest } from './digest.ts';
import { foldStream } from './fold.ts';
import { keyOf } from './record.ts';
import { Stage } from './stage.ts';
import { keyMatch, readTargets } from './target.ts';

export interface TableState {
  readonly table: BoundTable;
  /** `select <columns> from …`: rows in the table's own types, generated columns left out. */
  readonly sql: string;
}

/**
 * Stages what has changed since the cut and returns one query per table. `tenant` null: the whole database. The caller is in a
 * REPEATABLE READ transaction and rolls it back when it has read.
 */
export async function stateAt(client: Client, bound: BoundMap, tenant: string | null, cut: Cut): Promise<TableState[]> {
  const tables = bound.tables.filter((t) => tenant === null || t.tenant);
  const targets = await readTargets(client, tables);
  const stage = new Stage(client, targets, keyOf, '_hf_state');
  const query = { after: cut, ...(tenant === null ? {} : { organization: tenant }) };
  const crossing = await Crossing.load(client, tables);
  crossing.check(cut, 'refuse');
  await stage.load(foldStream(crossing.carry(readChanges(client, query)), 'backward'));
  await stage.complete();
  const staged = new Map(stage.tables.map((s) => [s.target.bound.name, s.sql]));
  return targets.map((target) => {
    const table = target.bound;
    const columns = (row: string) => target.columns.map((c) => `${row}.${ident(c.name)}`).join(', ');
    const own = tenant === null ? 'true' : tenantPredicate(bound, table, 't', literal(tenant));
    const live = `select ${columns('t')} from ${target.sql} t where ${own}`;
    const sql = staged.get(table.name);
    if (!sql) return { table, sql: live };
    return {
      table,
      sql: `${live} and not exists (select from ${sql} s where ${keyMatch(target, 's', 't')})
        union all select ${columns('s')} from ${sql} s where s._hf_kind = 'F'`,
    };
  });
}

/** Digests of the state at a cut; equal to those that `tenantDigest` gave at that moment. */
export async function digestAt(client: Client, bound: BoundMap, tenant: string | null, cut: Cut): Promise<Digests> {
  await client.query('begin isolation level repeatable read');
  try {
    const digests: Record<string, TableDigest> = {};
    for (const { table, sql } of await stateAt(client, bound, tenant, cut)) {
      const { rows } = await client.query(digestSql(`select ${rowText(table, 's')} as r from (${sql}) s`));
      digests[table.name] = rows[0] as TableDigest;
    }
    return digests;
  } finally {
    await client.query('rollback');
  }
}
