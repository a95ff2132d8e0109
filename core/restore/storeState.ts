/** State at T of one tenant out of a store, staged beside the live rows that it is to replace. */
import type { Context } from '../context.ts';
import { tenantPredicate } from '../datamap/reach.ts';
import { recordSql } from '../history/record.ts';

import { type Client, ident, literal } from '../sql.ts';
import { batch } from './batch.ts';
import type { Chain } from './chain.ts';
import { copyIn } from './copy.ts';
import { Crossing } from './crossing.ts';
import { type Scope, withoutEqual } from './diff.ts';
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
  scope: Scope & { readonly droppedColumns: 'refuse' | 'ignore' },
  chain: Chain,
): Promise<void> {
  const reader = await slabReader(ctx);
  const wanted = (tenant: string) => tenant === scope.tenant;
  const covered = targets.filter(
    (t) => chain.base.tables.some((m) => m.name === t.bound.name) && !chain.excluded.includes(t.bound.name),
  );
  await stage.make(covered.map((t) => t.bound.id));
  const byName = new Map(stage.tables.map((s) => [s.target.bound.name, s]));

  const crossing = await Crossing.load(
    client,
    covered.map((t) => t.bound),
  );
  const versions = new Map(chain.base.tables.map((t) => [t.name, t.version]));
  for (const { target } of byName.values()) {
    crossing.checkFrom(target.bound.id, versions.get(target.bound.name)!, scope.droppedColumns);
  }

  for await (const { sections } of new SlabQueue(reader, slabsOf(chain.base, 'chunk', wanted)).take()) {
    for (const section of sections) {
      const staged = byName.get(section.table);
      if (!staged) continue;
      const { bound } = staged.target;
      const { data } = restorable(section, bound.erase);
      const columns = section.columns.map((c) => crossing.nameNow(bound.id, versions.get(bound.name)!, c));
      await copySection(client, staged, section.columns, columns, data);
    }
  }
  for (const staged of byName.values())
    await fillMissing(client, staged, crossing, versions.get(staged.target.bound.name)!);
  await client.query(`analyze ${stage.tables.map((t) => t.sql).join(', ')}`);
  if ((await loadLogs(client, reader, chain, wanted)) > 0) {
    const bound = { ...scope.bound, tables: covered.map((t) => t.bound) };
    const net = new Stage(client, covered, keyOf, '_hf_net');
    const changes = crossing.carry(readLogs(client, bound, chain.moment), (c) => c.version);
    await net.load(foldStream(changes, 'forward'));
    for (const table of net.tables) await replay(client, table, byName.get(table.target.bound.name)!.sql);
  }
  await batch(
    client,
    stage.tables.flatMap((staged) => [unwanted(staged, scope), withoutEqual(staged, scope), named(staged)]),
  );
}

/** Rows of a base, under the columns' present names; a column that is gone is read past. */
async function copySection(
  client: Client,
  staged: StagedTable,
  columns: readonly string[],
  now: readonly (string | undefined)[],
  data: Buffer,
): Promise<void> {
  const gone = columns.filter((_, i) => now[i] === undefined).map((c) => `_hf_gone_${c}`);
  if (gone.length > 0) {
    const add = gone.map((c) => `add column if not exists ${ident(c)} text`).join(', ');
    await client.query(`alter table ${staged.sql} ${add}`);
  }
  const names = columns.map((c, i) => ident(now[i] ?? `_hf_gone_${c}`));
  await copyIn(client, `copy ${staged.sql} (${names.join(', ')}) from stdin`, [data]);
}

async function fillMissing(client: Client, staged: StagedTable, crossing: Crossing, version: number): Promise<void> {
  for (const [name, value] of Object.entries(crossing.missing(staged.target.bound.id, version))) {
    if (value !== null) await client.query(`update ${staged.sql} set ${ident(name)} = ${literal(value)}`);
  }
}

/** Live rows of the tenant that the state at T does not have: they are to go. */
function unwanted({ target, sql }: StagedTable, scope: Scope): string {
  const columns = target.columns.map((c) => ident(c.name));
  return `insert into ${sql} (_hf_kind, ${columns.join(', ')}) select 'A', ${columns.map((c) => `t.${c}`).join(', ')} from ${target.sql} t
      where ${tenantPredicate(scope.bound, target.bound, 't', literal(scope.tenant))}
        and not exists (select from ${sql} s where ${keyMatch(target, 's', 't')})`;
}

/** Names for the rows that came as plain rows. */
const named = ({ target, sql }: StagedTable): string =>
  `update ${sql} s set _hf_record = ${recordSql(target.bound, 's')} where _hf_record is null`;
