/**
 * Rows that still point at rows which a restore removes. Those that the restore re-points hold the delete back until then;
 * those it knows nothing of would dangle, or be swept away by ON DELETE CASCADE, so the restore is refused and they are named.
 */
import { type Client, ident } from '../sql.ts';
import { union } from './batch.ts';
import type { StagedTable } from './stage.ts';
import { type IncomingKey, keyMatch, type TargetTable } from './target.ts';

export interface Stranded {
  readonly constraint: string;
  readonly child: string;
  /** Rows of the child, as text. */
  readonly rows: readonly string[];
}

/** Sets `_hf_late` and returns the rows that would be left stranded; empty when the deletes are safe. */
export async function orderDeletes(client: Client, tables: readonly StagedTable[]): Promise<Stranded[]> {
  const byOid = new Map(tables.map((t) => [t.target.bound.oid, t]));
  const edges: { parent: StagedTable; key: IncomingKey; child: StagedTable | undefined }[] = [];
  const removing = await union<{ id: number }>(
    client,
    tables.map((t) => `select ${t.target.bound.id} as id where exists (select from ${t.sql} where _hf_do = 'D')`),
  );
  for (const parent of tables.filter((t) => removing.some((r) => r.id === t.target.bound.id))) {
    for (const key of parent.target.incoming) edges.push({ parent, key, child: byOid.get(key.childOid) });
  }

  const stranded: Stranded[] = [];
  let held = 0;
  for (const { parent, key, child } of edges) {
    const rows = await strandedRows(client, parent, key, child);
    if (rows.length > 0) stranded.push({ constraint: key.name, child: key.child, rows });
    if (child) held += await holdBack(client, parent, key, child);
  }
  while (held > 0) {
    held = 0;
    for (const { parent, key, child } of edges) if (child) held += await holdBackBehind(client, parent, key, child);
  }
  return stranded;
}

function references(target: TargetTable, key: IncomingKey, child: string, parent: string): string {
  return key.columns
    .map((column, i) => {
      const to = key.parentColumns[i]!;
      const equals = target.columns.find((c) => c.name === to)?.equals ?? 'pg_catalog';
      return `${child}.${ident(column)} operator(${ident(equals)}.=) ${parent}.${ident(to)}`;
    })
    .join(' and ');
}

async function strandedRows(
  client: Client,
  parent: StagedTable,
  key: IncomingKey,
  child: StagedTable | undefined,
): Promise<string[]> {
  // A child row is accounted for when it is removed too, or when its wanted version no longer points there.
  const accounted = child
    ? `and not exists (select from ${child.sql} s where ${keyMatch(child.target, 's', 'c')}
         and (s._hf_do = 'D' or s._hf_do in ('U', 'R') and (${references(parent.target, key, 's', 'p')}) is not true))`
    : '';
  const shown = child ? child.target.bound.key.map((k) => `c.${ident(k)}`).join(', ') : 'c.*';
  const { rows } = await client.query(
    `select row(${shown})::text as row from ${parent.sql} p join ${key.child} c on ${references(parent.target, key, 'c', 'p')}
      where p._hf_do = 'D' ${accounted} limit 5`,
  );
  return rows.map((r) => r.row as string);
}

async function holdBack(client: Client, parent: StagedTable, key: IncomingKey, child: StagedTable): Promise<number> {
  const result = await client.query(
    `update ${parent.sql} p set _hf_late = true
      where p._hf_do = 'D' and not p._hf_late and exists (
        select from ${key.child} c join ${child.sql} s on ${keyMatch(child.target, 's', 'c')}
         where s._hf_do in ('U', 'R') and ${references(parent.target, key, 'c', 'p')})`,
  );
  return result.rowCount ?? 0;
}

async function holdBackBehind(
  client: Client,
  parent: StagedTable,
  key: IncomingKey,
  child: StagedTable,
): Promise<number> {
  const result = await client.query(
    `update ${parent.sql} p set _hf_late = true
      where p._hf_do = 'D' and not p._hf_late and exists (
        select from ${child.sql} s where s._hf_do = 'D' and s._hf_late and ${references(parent.target, key, 's', 'p')})`,
  );
  return result.rowCount ?? 0;
}
