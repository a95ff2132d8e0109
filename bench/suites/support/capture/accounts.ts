/** The table whose writers and records are measured: fifteen columns of the usual kinds, without a table of tenants. */
import { readFile } from 'node:fs/promises';
import { bind } from '../../../../core/datamap/bind.ts';
import type { DataMap } from '../../../../core/datamap/types.ts';
import { install } from '../../../../core/history/install.ts';
import type { Client } from '../../../../core/sql.ts';

export const ACCOUNTS: DataMap = {
  tenants: { table: 'public.accounts', key: 'tenant_id' },
  tables: [
    {
      name: 'public.accounts',
      tenant: { kind: 'column', column: 'tenant_id' },
      person: { kind: 'column', column: 'owner_id' },
      columns: {},
      erase: 'delete',
    },
  ],
  excluded: [],
};

/** Makes it with rows 1 to `rows` of 500 tenants, statement by statement, for it is vacuumed at last. */
export async function createAccounts(client: Client, rows: number): Promise<void> {
  const text = await readFile(new URL('tables.sql', import.meta.url), 'utf8');
  for (const statement of text.replace('{rows}', String(rows)).split(/;\n/)) {
    if (statement.trim()) await client.query(statement);
  }
}

export async function protectAccounts(client: Client): Promise<void> {
  await install(client, await bind(client, ACCOUNTS));
}
