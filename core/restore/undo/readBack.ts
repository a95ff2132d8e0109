/** Whether a transaction wrote what it was meant to write, told from what it put into the trail: that, and nothing else. */
import type { Text } from '../../history/types.ts';
import { literal } from '../../sql.ts';
import type { TargetTable } from '../target.ts';
import type { RecordNet } from './nets.ts';

export type Logged = readonly [
  table: number,
  record: string | null,
  action: string,
  changes: Record<string, Text | [Text, Text]> | null,
  follows: boolean | null,
];

/**
 * Query for what the running transaction has put into the trail, as one JSON value `logged`. Found by time: `+ 0` keeps the planner from the
 * index on xid, which would read everything written since it was summarised.
 */
export const readBackSql = (tenant: string): string =>
  `select json_agg(json_build_array(t.table_id, t.record, t.action, t.changes, t.metadata -> 'follows') order by t.seq) as logged
     from holdfast.trail t
    where t.organization = ${literal(tenant)} and t.at >= transaction_timestamp() and t.xid + 0 = pg_current_xact_id()::text::bigint`;

/** Rows of other tenants cannot be among what was written: the guard of the capture trigger has refused them. */
export function wroteExactly(
  logged: readonly Logged[] | null,
  nets: readonly RecordNet[],
  targets: ReadonlyMap<number, TargetTable>,
): boolean {
  const byRecord = new Map<string, Logged[]>();
  for (const change of logged ?? []) {
    // A row whose parent changed hands is logged as moved with it, and is itself what it was.
    if (change[4]) continue;
    const key = JSON.stringify([change[0], change[1]]);
    byRecord.set(key, [...(byRecord.get(key) ?? []), change]);
  }
  if (byRecord.size !== nets.length) return false;
  return nets.every((net) => {
    const changes = byRecord.get(JSON.stringify([net.table, net.record]));
    return changes !== undefined && matches(net, changes, targets.get(net.table)!);
  });
}

function matches(net: RecordNet, logged: readonly Logged[], target: TargetTable): boolean {
  const names = target.columns.map((c) => c.name);
  const [first, second] = logged;
  if (net.action === 'update') {
    const pairs = second ? moved(first!, second, names) : (first!.at(3) as Record<string, [Text, Text]>);
    if (!pairs || (!second && first![2] !== 'U') || logged.length > 2) return false;
    return names.every((name) => {
      const pair = pairs[name];
      if (!Object.hasOwn(net.after, name)) return pair === undefined;
      return pair !== undefined && pair[0] === net.before[name] && pair[1] === net.after[name];
    });
  }
  if (second || first![2] !== (net.action === 'insert' ? 'I' : 'D')) return false;
  const row = first![3] as Record<string, Text>;
  const wanted = net.action === 'insert' ? net.after : net.before;
  return names.every((name) => row[name] === wanted[name]);
}

/** A change of owner is logged as the row that goes and the row that comes. */
function moved(gone: Logged, come: Logged, names: readonly string[]): Record<string, [Text, Text]> | undefined {
  if (gone[2] !== 'D' || come[2] !== 'I') return undefined;
  const was = gone[3] as Record<string, Text>;
  const now = come[3] as Record<string, Text>;
  return Object.fromEntries(names.filter((n) => was[n] !== now[n]).map((n) => [n, [was[n]!, now[n]!]]));
}
