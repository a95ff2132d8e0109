/**
 * Rows that exchange unique values. A unique index that is not deferrable is checked row by row, so a direct UPDATE of a swap
 * fails. The rows concerned are then deleted and inserted within one statement where nothing points at them in a way that
 * would notice, and otherwise give up the value first by parking.
 */
import { type Client, ident } from '../sql.ts';
import type { PgError } from './conflicts.ts';
import type { StagedTable } from './stage.ts';
import { type ImmediateIndex, keyMatch, type TargetColumn } from './target.ts';

/**
 * Called after the attempt was rolled back to its savepoint. Returns true when something was changed that makes another
 * attempt worth while.
 */
export async function resolveUniqueClash(
  client: Client,
  tables: readonly StagedTable[],
  error: PgError,
  seen: Set<string>,
): Promise<boolean> {
  if (error.code !== '23505' && error.code !== '23P01') return false;
  const staged = await clashing(client, tables, error);
  if (!staged || seen.has(staged.target.bound.name)) return false;
  seen.add(staged.target.bound.name);
  const { target, sql } = staged;
  const numbers = new Set<number>();
  for (const index of target.immediate) for (const c of movable(staged, index)) numbers.add(c.attnum);
  if (numbers.size === 0) return false;
  const movers = `_hf_do = 'U' and _hf_changed && '{${[...numbers].join(',')}}'::int2[]`;
  if (target.incoming.every((key) => key.onDelete === 'a')) {
    const result = await client.query(`update ${sql} set _hf_do = 'R' where ${movers}`);
    return (result.rowCount ?? 0) > 0;
  }
  return park(client, staged, movers);
}

const movable = (staged: StagedTable, index: ImmediateIndex): TargetColumn[] =>
  staged.target.columns.filter((c) => index.columns.includes(c.name) && !staged.target.bound.key.includes(c.name));

async function clashing(
  client: Client,
  tables: readonly StagedTable[],
  error: PgError,
): Promise<StagedTable | undefined> {
  const { rows } = await client.query(
    'select coalesce(pg_partition_root(c.oid)::oid, c.oid) as oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2',
    [error.schema, error.table],
  );
  return tables.find((t) => t.target.bound.oid === rows[0]?.oid);
}

/** Sets one column of each index aside, to null or to a value that nothing else can hold. */
async function park(client: Client, staged: StagedTable, movers: string): Promise<boolean> {
  const { target, sql } = staged;
  const { bound } = target;
  // A made-up value there would point nowhere, or at another tenant.
  const fixed = new Set([
    ...bound.foreignKeys.flatMap((k) => k.columns),
    ...(bound.tenant?.kind === 'column' ? [bound.tenant.column] : []),
  ]);
  const parked = new Map<TargetColumn, string>();
  for (const index of target.immediate) {
    const columns = movable(staged, index).filter((c) => !fixed.has(c.name));
    if (columns.some((c) => parked.has(c))) continue;
    const column = columns.find((c) => parkingValue(c));
    if (column) parked.set(column, parkingValue(column)!);
  }
  if (parked.size === 0) return false;
  const assignments = [...parked].map(([column, value]) => `${ident(column.name)} = ${value}`);
  const result = await client.query(
    `update ${target.sql} t set ${assignments.join(', ')} from (select * from ${sql} where ${movers}) s where ${keyMatch(target, 't', 's')}`,
  );
  // What was set aside must be written again, also where the restore itself would not have changed it.
  await client.query(
    `update ${sql} set _hf_changed = _hf_changed || '{${[...parked.keys()].map((c) => c.attnum).join(',')}}'::int2[] where ${movers}`,
  );
  return (result.rowCount ?? 0) > 0;
}

function parkingValue(column: TargetColumn): string | undefined {
  if (!column.notNull) return 'null';
  const value = `t.${ident(column.name)}`;
  // In front of the old value, so that checks such as "contains an @" still hold.
  const text = /^(?:text|character varying(?:\((\d+)\))?)$/.exec(column.stageType);
  if (text) return `left(md5(random()::text) || ${value}, ${text[1] ?? 2 ** 30})`;
  if (column.stageType === 'uuid') return 'gen_random_uuid()';
  const span = { smallint: 3e4, integer: 2e9, bigint: 9e15 }[column.stageType];
  return span ? `-(1 + floor(random() * ${span}))::${column.stageType}` : undefined;
}
