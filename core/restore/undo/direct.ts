/**
 * Writes a few thousand rows in one statement, without temporary tables: bringing back one field must not cost more than a
 * handful of small queries. Values come as JSON texts, which `json_to_recordset` hands to each type's own input function.
 *
 * What is out of the ordinary (swaps, rows that depend on others, constraints in the way) is not sorted out here: PostgreSQL
 * refuses it, and the staged way, which knows all of that, takes over.
 */
import { tenantPredicate } from '../../datamap/reach.ts';
import { type Client, ident, literal } from '../../sql.ts';
import type { Scope } from '../diff.ts';
import { keyOf } from '../record.ts';
import { keyColumns, keyMatch, type TargetColumn, type TargetTable } from '../target.ts';
import type { RecordNet } from './nets.ts';

interface Step {
  readonly name: string;
  readonly sql: string;
  readonly payload: string;
  readonly rows: number;
}

/** Whether foreign keys onto a table only refuse: then PostgreSQL tells when a row that goes is still pointed at. */
export const deletesAreSafe = (target: TargetTable): boolean =>
  target.incoming.every((key) => key.onDelete === 'a' || key.onDelete === 'r');

/**
 * One statement for all tables, its values written into it, so that it can travel in one message with what comes before and after.
 * Its one row has a count for each step: `missed` tells whether fewer rows were there than should be.
 */
export function directStatement(
  nets: readonly RecordNet[],
  targets: ReadonlyMap<number, TargetTable>,
  scope: Scope,
): { readonly sql: string; missed(counts: Readonly<Record<string, number>>): boolean } {
  const steps: Step[] = [];
  for (const [id, own] of Map.groupBy(nets, (net) => net.table)) {
    const target = targets.get(id)!;
    const of = <A extends RecordNet['action']>(action: A) =>
      own.filter((net): net is RecordNet & { action: A } => net.action === action);
    steps.push(...removal(target, of('delete'), scope), ...change(target, of('update'), scope));
    steps.push(...addition(target, of('insert'), scope));
  }
  const ctes = steps.map(
    (s) => `${s.name} as (${s.sql.replace('{payload}', () => `${literal(s.payload)}::json`)} returning 1)`,
  );
  const counts = steps.map((s) => `(select count(*) from ${s.name})::int as ${s.name}`);
  return {
    sql: `with ${ctes.join(',\n')} select ${counts.join(', ')}`,
    missed: (got) => steps.some((s) => got[s.name] !== s.rows),
  };
}

/** JSON types would take a text for a JSON string, so they are read as text first. */
const isJson = (c: TargetColumn): boolean => c.stageType === 'json' || c.stageType === 'jsonb';
const declared = (c: TargetColumn): string => `${ident(c.name)} ${isJson(c) ? 'text' : c.stageType}`;
const value = (c: TargetColumn): string => `s.${ident(c.name)}${isJson(c) ? `::${c.stageType}` : ''}`;

const recordset = (columns: readonly TargetColumn[], extra = ''): string =>
  `json_to_recordset({payload}) as s(${extra}${columns.map(declared).join(', ')})`;

const keyValues = (target: TargetTable, record: string): Record<string, string | null> => {
  const values = keyOf(target, record);
  return Object.fromEntries(target.bound.key.map((name, i) => [name, values[i]!]));
};

const owned = (target: TargetTable, scope: Scope): string =>
  tenantPredicate(scope.bound, target.bound, 't', literal(scope.tenant));

function removal(target: TargetTable, nets: readonly RecordNet[], scope: Scope): Step[] {
  if (nets.length === 0) return [];
  return [
    {
      name: `d${target.bound.id}`,
      rows: nets.length,
      payload: JSON.stringify(nets.map((net) => keyValues(target, net.record))),
      sql: `delete from ${target.sql} t using ${recordset(keyColumns(target))} where ${keyMatch(target, 't', 's')} and ${owned(target, scope)}`,
    },
  ];
}

function change(target: TargetTable, nets: readonly (RecordNet & { action: 'update' })[], scope: Scope): Step[] {
  if (nets.length === 0) return [];
  const names = new Set(nets.flatMap((net) => Object.keys(net.after)));
  const columns = target.columns.filter((c) => names.has(c.name));
  const always = new Set(columns.filter((c) => nets.every((net) => Object.hasOwn(net.after, c.name))));
  const number = new Map(columns.map((c) => [c.name, c.attnum]));
  // Rows that leave a column alone keep its live value.
  const set = columns.map((c) =>
    always.has(c)
      ? `${ident(c.name)} = ${value(c)}`
      : `${ident(c.name)} = case when ${c.attnum} = any(s._hf_set) then ${value(c)} else t.${ident(c.name)} end`,
  );
  const payload = nets.map((net) => ({
    ...net.after,
    ...keyValues(target, net.record),
    ...(always.size < columns.length ? { _hf_set: Object.keys(net.after).map((name) => number.get(name)!) } : {}),
  }));
  return [
    {
      name: `u${target.bound.id}`,
      rows: nets.length,
      payload: JSON.stringify(payload),
      sql: `update ${target.sql} t set ${set.join(', ')} from ${recordset([...keyColumns(target), ...columns], '_hf_set int2[], ')}
        where ${keyMatch(target, 't', 's')} and ${owned(target, scope)}`,
    },
  ];
}

function addition(target: TargetTable, nets: readonly (RecordNet & { action: 'insert' })[], scope: Scope): Step[] {
  if (nets.length === 0) return [];
  const names = target.columns.map((c) => ident(c.name)).join(', ');
  const override = target.columns.some((c) => c.identityAlways) ? ' overriding system value' : '';
  const reach = target.bound.tenant;
  const own = reach?.kind === 'column' ? ` where s.${ident(reach.column)}::text = ${literal(scope.tenant)}` : '';
  return [
    {
      name: `i${target.bound.id}`,
      rows: nets.length,
      payload: JSON.stringify(nets.map((net) => net.after)),
      sql: `insert into ${target.sql} (${names})${override} select ${target.columns.map(value).join(', ')} from ${recordset(target.columns)}${own}`,
    },
  ];
}

/** Whether the tenant has a row with this key. A value that the key's type refuses is no key. */
export async function hasRow(client: Client, target: TargetTable, record: string, own: string): Promise<boolean> {
  await client.query('savepoint holdfast_key');
  try {
    const from = recordset(keyColumns(target)).replace('{payload}', '$1::json');
    const { rows } = await client.query(
      `select exists (select from ${from} join ${target.sql} t on ${keyMatch(target, 't', 's')} where ${own}) as yes`,
      [JSON.stringify([keyValues(target, record)])],
    );
    return rows[0].yes as boolean;
  } catch (error) {
    if (!/^22/.test((error as { code?: string }).code ?? '')) throw error;
    await client.query('rollback to savepoint holdfast_key');
    return false;
  }
}
