/**
 * Row-level security of the application itself. A role that it binds (FORCE, and neither superuser nor BYPASSRLS) would see and
 * write only what the policies let it, so the settings that they compare with are set to the tenant for the transaction.
 */
import type { BoundTable } from '../datamap/types.ts';
import { RestoreError } from '../errors.ts';
import type { Client } from '../sql.ts';

const SETTING = /current_setting\('((?:[^']|'')+)'/g;

/** @throws RestoreError HF_ROW_SECURITY when a policy binds this role and names no setting */
export async function actAsTenant(client: Client, tables: readonly BoundTable[], tenant: string): Promise<void> {
  const { rows } = await client.query(
    `select r.oid, coalesce(string_agg(concat(pg_get_expr(p.polqual, p.polrelid), ' ', pg_get_expr(p.polwithcheck, p.polrelid)), ' '), '') as policies
       from unnest($1::oid[]) r (oid) left join pg_policy p on p.polrelid = r.oid
      where row_security_active(r.oid) group by r.oid`,
    [tables.map((t) => t.oid)],
  );
  const settings = new Set<string>();
  for (const { oid, policies } of rows) {
    const names = [...(policies as string).matchAll(SETTING)].map((m) => m[1]!.replaceAll("''", "'"));
    if (names.length === 0) throw hidden(tables.find((t) => t.oid === oid)!);
    for (const name of names) settings.add(name);
  }
  for (const name of settings) await client.query('select set_config($1, $2, true)', [name, tenant]);
}

const hidden = (table: BoundTable) =>
  new RestoreError(
    'HF_ROW_SECURITY',
    `Row-level security of ${table.name} binds this role, and its policies name no setting.`,
    {
      action: 'Restore as a role with BYPASSRLS, or as the owner of the table where row security is not forced.',
      details: { table: table.name },
    },
  );
