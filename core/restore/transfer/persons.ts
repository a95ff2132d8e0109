/** Persons whose rows are copied are persons of their own in the other tenant; who became whom is kept for their erasure. */
import { tableNamed } from '../../datamap/reach.ts';
import type { BoundMap } from '../../datamap/types.ts';
import { textSql } from '../../history/record.ts';
import type { Client } from '../../sql.ts';
import { type MappedTable, newRows } from './mapping.ts';
import type { TransferRequest } from './types.ts';

const personTable = (bound: BoundMap, tables: readonly MappedTable[]): MappedTable | undefined =>
  tables.find((t) => t.target.bound.name === bound.map.persons?.table);

export async function countPersons(client: Client, bound: BoundMap, tables: readonly MappedTable[]): Promise<number> {
  const table = personTable(bound, tables);
  if (!table) return 0;
  const { rows } = await client.query(`select count(*)::int as persons from ${table.sql}`);
  return rows[0].persons as number;
}

/** Fills `holdfast.person_copies`, in the transaction that copies. */
export async function recordPersons(
  client: Client,
  bound: BoundMap,
  tables: readonly MappedTable[],
  { from, into }: TransferRequest,
): Promise<void> {
  const table = personTable(bound, tables);
  if (!table) return;
  const key = tableNamed(bound, bound.map.persons!.table).columns.find((c) => c.name === bound.map.persons!.key)!;
  await client.query(
    `insert into holdfast.person_copies (tenant, person, copy_tenant, copy, xid)
     select $1, ${textSql('m', key)}, $2, ${textSql('n', key)}, pg_current_xact_id()::text::bigint
       from ${table.sql} m join ${newRows(table)} n on n._hf_row = m._hf_row`,
    [from, into],
  );
}
