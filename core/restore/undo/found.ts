/** When nothing is found to undo: was there nothing, or is what was named not there at all? */

import { tenantPredicate } from '../../datamap/reach.ts';
import { tenantExists, tenantRemembered, unknownTenant } from '../../datamap/tenants.ts';
import { RestoreError } from '../../errors.ts';
import { type Client, literal } from '../../sql.ts';
import type { Scope } from '../diff.ts';
import type { Facts } from './desk.ts';
import { hasRow } from './direct.ts';
import type { Selection } from './scope.ts';
import type { UndoRequest } from './types.ts';

/** @throws RestoreError HF_RECORD_UNKNOWN: a record that was named is neither there nor in the trail. `seen`: those with changes. */
export async function requireRecords(
  client: Client,
  selection: Selection,
  seen: ReadonlySet<string>,
  facts: Facts,
  scope: Scope,
): Promise<void> {
  const { named } = selection;
  const quiet = named?.records.filter((record) => !seen.has(record)) ?? [];
  if (!named || quiet.length === 0) return;
  const { rows } = await client.query(
    `select r.record from unnest($1::text[]) r (record)
      where not exists (select from holdfast.trail c where c.table_id = $2 and c.record = r.record and c.organization = $3)`,
    [quiet, named.table.id, scope.tenant],
  );
  const target = facts.targets.get(named.table.id)!;
  for (const { record } of rows) {
    const own = tenantPredicate(scope.bound, named.table, 't', literal(scope.tenant));
    if (await hasRow(client, target, record as string, own)) continue;
    throw new RestoreError(
      'HF_RECORD_UNKNOWN',
      `${named.table.name} has no record ${record} of tenant ${scope.tenant}, and never had.`,
      {
        action: 'Correct the key. "holdfast history" shows what a record went through.',
        details: { table: named.table.name, record, tenant: scope.tenant },
      },
    );
  }
}

/** @throws RestoreError HF_TENANT_UNKNOWN, HF_USER_UNKNOWN, HF_TRANSACTION_UNKNOWN */
export async function requireSubject(client: Client, facts: Facts, request: UndoRequest): Promise<void> {
  const { tenant, scope } = request;
  if (!(await tenantExists(client, facts.bound, tenant)) && !(await tenantRemembered(client, tenant))) {
    throw await unknownTenant(client, facts.bound, tenant, RestoreError);
  }
  if (scope.kind === 'user') {
    const { rows } = await client.query('select from holdfast.trail where user_id = $1 and organization = $2 limit 1', [
      scope.user,
      tenant,
    ]);
    if (rows.length > 0) return;
    throw new RestoreError(
      'HF_USER_UNKNOWN',
      `User ${JSON.stringify(scope.user)} has never changed anything of tenant ${tenant}.`,
      {
        action: 'Give the id that the application passes to set_actor; "holdfast activity" lists them.',
        details: { user: scope.user, tenant },
      },
    );
  }
  if (scope.kind === 'transactions') {
    const { rows } = await client.query(
      'select from holdfast.trail where xid = any ($1::bigint[]) and organization = $2 limit 1',
      [scope.transactions.map(String), tenant],
    );
    if (rows.length > 0) return;
    throw new RestoreError(
      'HF_TRANSACTION_UNKNOWN',
      `No change of tenant ${tenant} was made by transaction ${scope.transactions.join(', ')}.`,
      {
        action: 'Pass the xid that a restore of this tenant reported.',
        details: { transactions: scope.transactions.map(String), tenant },
      },
    );
  }
}
