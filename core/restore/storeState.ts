/** State at T of one tenant out of a store, staged beside the live rows that it is to replace. */
import type { Context } from '../context.ts';
import { tenantPredicate } from '../datamap/reach.ts';
import { recordSql } from '../history/record.ts';

import { type Client, ident, literal } from '../sql.ts';
import type { Chain } from './chain.ts';
import { copyIn } from './copy.ts';
import type { Scope } from './diff.ts';
import { restorable } from './erasedRows.ts';
import { foldStream } from './fold.ts';
import { loadLogs, readLogs } from './logTable.ts';
import { keyOf } from './record.ts';
import { replay } from './replay.ts';
import { SlabQueue, slabsOf } from './slabQueue.ts';
import { Stage, type StagedTable } from './stage.ts';
import { slabReader } from './storePlan.ts';
import { keyMatch, type TargetTable } from './target.ts';

/** Stages every row that the tenant had, and the keys of live rows that it had not. */
export async function stageStore(
  ctx: Context,
  client: Client,
  stage: Stage,
  targets: readonly TargetTable[],
  scope: Scope,
  chain: Chain,
): Promise<void> {
  const reader = await slabReader(ctx);
  const wanted = (tenant: string) => tenant === scope.tenant;
  const covered = targets.filter(
    (t) => chain.base.tables.some((m) => m.name === t.bound.name) && !chain.excluded.includes(t.bound.name),
  );
  for (const target of covered) await stage.table(target.bound.id);
  const byName = new Map(stage.tables.map((s) => [s.target.bound.name, s]));

  for await (const { sections } of new SlabQueue(reader, slabsOf(chain.base, 'chunk', wanted)).take()) {
    for (const section of sections) {
      const staged = byName.get(section.table);
      if (!staged) continue;
      const { data } = restorable(section, staged.target.bound.erase);
      await copyIn(client, `copy ${staged.sql} (${section.columns.map(ident).join(', ')}) from stdin`, [data]);
    }
  }
  await loadLogs(client, reader, chain, wanted);
  const bound = { ...scope.bound, tables: covered.map((t) => t.bound) };
  const net = new Stage(client, covered, keyOf, '_hf_net');
  await net.load(foldStream(readLogs(client, bound, chain.moment), 'forward'));
  for (const staged of stage.tables) await client.query(`analyze ${staged.sql}`);
  for (const table of net.tables) await replay(client, table, byName.get(table.target.bound.name)!.sql);
  for (const staged of stage.tables) await unwanted(client, staged, scope);
}

/** Live rows of the tenant that the state at T does not have; and names for the rows that came as plain rows. */
async function unwanted(client: Client, staged: StagedTable, scope: Scope): Promise<void> {
  const { target, sql } = staged;
  const key = target.bound.key.map((k) => ident(k));
  await client.query(
    `insert into ${sql} (_hf_kind, ${key.join(', ')}) select 'A', ${key.map((k) => `t.${k}`).join(', ')} from ${target.sql} t
      where ${tenantPredicate(scope.bound, target.bound, 't', literal(scope.tenant))}
        and not exists (select from ${sql} s where ${keyMatch(target, 's', 't')})`,
  );
  await client.query(`update ${sql} s set _hf_record = ${recordSql(target.bound, 's')} where _hf_record is null`);
}
