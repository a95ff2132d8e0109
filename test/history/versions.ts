import type pg from 'pg';

/** What a table looked like from a change on, as Holdfast has noted it. */
export interface TableVersion {
  readonly version: number;
  readonly columns: readonly { readonly attnum: number; readonly name: string }[];
  /** Why history before cannot be carried into this version; null when it can. */
  readonly barrier: string | null;
}

/** Of one table, oldest first. */
export async function readVersions(client: pg.Client, tableId: number): Promise<TableVersion[]> {
  const { rows } = await client.query(
    'select version, columns, barrier from holdfast.table_versions where table_id = $1 order by version',
    [tableId],
  );
  return rows;
}
