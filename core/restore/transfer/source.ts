/** The rows to be copied, as they were at a moment, in temporary tables. Nothing of the source is written. */
import type { Context } from '../../context.ts';
import { tenantPredicate } from '../../datamap/reach.ts';
import type { BoundMap, BoundTable } from '../../datamap/types.ts';
import { recordSql } from '../../history/record.ts';
import { type Client, ident, literal } from '../../sql.ts';
import type { Plan } from '../plan.ts';
import { keyOf } from '../record.ts';
import { Stage, type StagedTable } from '../stage.ts';
import { stateAt } from '../stateAt.ts';
import { stageStore } from '../storeState.ts';
import type { TargetTable } from '../target.ts';

/**
 * One staging table per table that has rows then. `plan` undefined: as of now.
 * @throws RestoreError HF_NO_KEY, HF_SCHEMA_CHANGED
 */
export async function stageSource(
  ctx: Context,
  client: Client,
  about: { readonly bound: BoundMap; readonly from: string; readonly targets: readonly TargetTable[] },
  plan: Plan | undefined,
): Promise<StagedTable[]> {
  const { bound, from, targets } = about;
  const stage = new Stage(client, targets, keyOf, '_hf_from');
  if (plan?.source === 'store') {
    await stageStore(ctx, client, stage, targets, { bound, tenant: from, droppedColumns: 'refuse' }, plan.chain!);
    for (const { sql } of stage.tables) await client.query(`delete from ${sql} where _hf_kind <> 'F'`);
  } else {
    const states = plan && (await stateAt(client, bound, from, plan.cut!));
    for (const target of targets) {
      const rows = states?.find((s) => s.table.name === target.bound.name)?.sql ?? liveRows(bound, target, from);
      const { rows: some } = await client.query(`select exists (${rows}) as yes`);
      if (some[0].yes) await fill(client, await stage.table(target.bound.id), rows);
    }
  }
  const busy: StagedTable[] = [];
  for (const staged of stage.tables) {
    const { rows } = await client.query(`select exists (select from ${staged.sql}) as yes`);
    if (rows[0].yes) busy.push(staged);
  }
  return busy;
}

const columnsOf = (target: TargetTable, alias: string): string =>
  target.columns.map((c) => `${alias}.${ident(c.name)}`).join(', ');

const liveRows = (bound: BoundMap, target: TargetTable, from: string): string =>
  `select ${columnsOf(target, 't')} from ${target.sql} t where ${tenantPredicate(bound, target.bound, 't', literal(from))}`;

async function fill(client: Client, staged: StagedTable, rows: string): Promise<void> {
  const { target, sql } = staged;
  const names = target.columns.map((c) => ident(c.name)).join(', ');
  await client.query(
    `insert into ${sql} (_hf_record, ${names}) select ${recordSql(target.bound, 's')}, ${columnsOf(target, 's')} from (${rows}) s`,
  );
}

/** Tables of a tenant that can be copied: all but the one that has a row per tenant. */
export const copyable = (bound: BoundMap): BoundTable[] =>
  bound.tables.filter((t) => t.tenant && t.name !== bound.map.tenants.table);
