/** Records outside the scope that an undo needs: a parent that was deleted, a row that came to depend on one that goes. */
import { markRedacted, requireKnown } from '../../history/redacted.ts';
import type { Change, Text } from '../../history/types.ts';
import type { Client } from '../../sql.ts';
import { ident } from '../../sql.ts';
import type { StagedTable } from '../stage.ts';
import { keyMatch, type TargetTable } from '../target.ts';
import type { Facts } from './desk.ts';
import type { RecordNet } from './nets.ts';
import type { Obstacle } from './structure.ts';
import type { By, Offer } from './types.ts';

export interface Extra {
  readonly offer: Offer;
  readonly net: RecordNet;
}

/** What would take an obstacle away; undefined when nothing can. */
export async function extraFor(
  client: Client,
  tenant: string,
  obstacle: Obstacle,
  facts: Facts,
): Promise<Extra | undefined> {
  if (obstacle.kind === 'missing') return comeBack(client, tenant, obstacle, facts);
  if (obstacle.kind === 'referenced') return goToo(obstacle, facts);
  return undefined;
}

async function comeBack(client: Client, tenant: string, obstacle: Obstacle, facts: Facts): Promise<Extra | undefined> {
  const key = facts.byName.get(obstacle.record.table)!.bound.foreignKeys.find((k) => k.name === obstacle.constraint)!;
  const parent = facts.byName.get(key.parent)!;
  const last = await lastDeletion(client, tenant, parent, obstacle);
  if (!last) return undefined;
  facts.crossing.checkSince(parent.bound.id, last.seq, 'refuse');
  let carried = last;
  for await (const change of facts.crossing.carry(once(last))) carried = change;
  const after = only(carried.changes as Record<string, Text>, parent);
  requireKnown(after, parent.bound.name, last.record!);
  const by: By = { userId: last.userId, at: last.at, xid: String(last.xid) };
  return {
    offer: {
      table: parent.bound.name,
      record: last.record!,
      action: 'insert',
      constraint: obstacle.constraint,
      for: obstacle.record,
      reason: `${obstacle.record.table} ${obstacle.record.record} points at it; it was deleted by ${by.userId ?? 'someone unnamed'} at ${by.at}`,
    },
    net: {
      action: 'insert',
      table: parent.bound.id,
      record: last.record!,
      after,
      by: [by],
    },
  };
}

/** The parent's newest change, where that is its deletion: by its record where the key says which, else by the values. */
async function lastDeletion(
  client: Client,
  tenant: string,
  parent: TargetTable,
  obstacle: Obstacle,
): Promise<Change | undefined> {
  const { rows } = await client.query(
    `select c.seq::text, c.before_seq::text as before, c.xid::text, c.at::text, c.table_id as "table", c.action::text,
            c.organization, c.record, c.person, c.user_id as "userId", c.actor::text, c.changes, c.metadata
       from holdfast.trail c
      where c.organization = $1 and c.table_id = $2
        and ${obstacle.other ? 'c.record = $3' : "c.action = 'D' and c.changes @> $3::jsonb"}
      order by coalesce(c.before_seq, c.seq) desc, c.seq limit 1`,
    [tenant, parent.bound.id, obstacle.other?.record ?? JSON.stringify(obstacle.values)],
  );
  const row = rows[0];
  if (row?.action !== 'D') return undefined;
  return {
    ...markRedacted(row),
    seq: BigInt(row.seq),
    before: row.before === null ? null : BigInt(row.before),
    xid: BigInt(row.xid),
  };
}

/** undefined where the key would only empty the reference: such a row lives on its own, and is not to go for it. */
function goToo(obstacle: Obstacle, facts: Facts): Extra | undefined {
  const { table, record } = obstacle.other!;
  const target = facts.byName.get(table)!;
  const { incoming } = facts.byName.get(obstacle.record.table)!;
  const key = incoming.find((k) => k.name === obstacle.constraint && k.childOid === target.bound.oid)!;
  if (key.onDelete === 'n' || key.onDelete === 'd') return undefined;
  return {
    offer: {
      table,
      record,
      action: 'delete',
      constraint: obstacle.constraint,
      for: obstacle.record,
      reason: `it points at ${obstacle.record.table} ${obstacle.record.record}, which goes`,
    },
    net: { action: 'delete', table: target.bound.id, record, before: {}, by: [] },
  };
}

/** What rows are that go because others go: read once they are staged. */
export async function readGoing(
  client: Client,
  staged: StagedTable,
  records: readonly string[],
): Promise<Map<string, Record<string, Text>>> {
  const { target, sql } = staged;
  const values = target.columns.map(
    (c) => `case when num_nonnulls(t.${ident(c.name)}) > 0 then format('%s', t.${ident(c.name)}) end`,
  );
  const { rows } = await client.query(
    `select s._hf_record as record, array[${values.join(', ')}]::text[] as values
       from ${sql} s join ${target.sql} t on ${keyMatch(target, 't', 's')} where s._hf_record = any($1)`,
    [records],
  );
  return new Map(
    rows.map((r) => [
      r.record as string,
      Object.fromEntries(target.columns.map((c, i) => [c.name, r.values[i] as Text])),
    ]),
  );
}

const only = (values: Record<string, Text>, target: TargetTable): Record<string, Text> =>
  Object.fromEntries(target.columns.map((c) => [c.name, values[c.name] ?? null]));

async function* once(change: Change): AsyncGenerator<Change> {
  yield change;
}
