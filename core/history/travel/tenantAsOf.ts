/** Everything that belonged to a tenant at a moment, table by table. */
import { RestoreError } from '../../errors.ts';
import { formatMoment } from '../../moment.ts';
import type { Client } from '../../sql.ts';
import { type State, stateAsOf } from './stateAsOf.ts';
import { subjects } from './subject.ts';
import type { When } from './types.ts';
import { cutAt } from './when.ts';

export interface TenantState {
  /** ISO 8601; all tables are of this moment. */
  readonly moment: string;
  readonly tables: readonly string[];
  /** One table after the other; read the rows of one before asking for the next. */
  readonly states: AsyncGenerator<State>;
}

/**
 * Of the tables whose rows belong to tenants; those without a key cannot be asked and are refused.
 * @throws as `stateAsOf` does
 */
export async function tenantAsOf(
  client: Client,
  query: { readonly tenant: string; readonly at: When },
): Promise<TenantState> {
  const cut = await cutAt(client, query.at, query.tenant);
  const moment = formatMoment(cut.moment);
  const owned = (await subjects(client)).filter((s) => s.owned && s.oid !== null);
  const keyless = owned.filter((s) => s.key.length === 0).map((s) => s.name);
  if (keyless.length > 0) {
    throw new RestoreError('HF_NO_KEY', `Without a key, records cannot be told apart: ${keyless.join(', ')}.`, {
      action: 'Give these tables a primary key, or ask for the other tables one by one.',
      details: { tables: keyless },
    });
  }
  const tables = owned.map((s) => s.name);
  async function* states(): AsyncGenerator<State> {
    for (const table of tables) yield await stateAsOf(client, { table, at: { moment }, tenant: query.tenant });
  }
  return { moment, tables, states: states() };
}
