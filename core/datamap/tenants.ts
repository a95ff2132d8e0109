/** Whether a tenant exists, and the words when it does not. */
import type { ConfigError, HoldfastError } from '../errors.ts';
import { type Client, ident, qualified } from '../sql.ts';
import { tableNamed } from './reach.ts';
import { nearest } from './suggest.ts';
import type { BoundMap } from './types.ts';

/** More tenants than this are not searched for a similar name. */
const SEARCHED = 10_000;

export async function tenantExists(client: Client, bound: BoundMap, tenant: string): Promise<boolean> {
  const { from, key } = tenantTable(bound);
  // Compared as text, so that a name of another shape than the key's type is simply not found.
  const { rowCount } = await client.query(`select ${from} where ${ident(key)}::text = $1`, [tenant]);
  return rowCount !== 0;
}

/** Whether the trail holds changes of a tenant, which may be gone by now. */
export async function tenantRemembered(client: Client, tenant: string): Promise<boolean> {
  const { rows } = await client.query(
    'select exists (select from holdfast.trail where organization = $1) as remembered',
    [tenant],
  );
  return rows[0].remembered;
}

/** HF_TENANT_UNKNOWN, with a similar name or some examples. */
export async function unknownTenant<E extends HoldfastError = ConfigError>(
  client: Client,
  bound: BoundMap,
  tenant: string,
  ErrorClass: new (...args: ConstructorParameters<typeof HoldfastError>) => E,
): Promise<E> {
  const { table } = bound.map.tenants;
  const { from, key } = tenantTable(bound);
  const { rows } = await client.query<{ tenant: string }>(
    `select ${ident(key)}::text as tenant ${from} order by 1 limit ${SEARCHED}`,
  );
  const names = rows.map((row) => row.tenant);
  const near = nearest(tenant, names);
  const hint = near !== undefined ? ` Did you mean ${near}?` : names.length > 0 ? `, such as ${names[0]}.` : '.';
  return new ErrorClass('HF_TENANT_UNKNOWN', `There is no tenant ${JSON.stringify(tenant)} in ${table}.`, {
    action: `Give a value of ${table}.${key}${near !== undefined ? '.' : ''}${hint}`,
    details: { tenant, table, key, nearest: near ?? null, examples: names.slice(0, 5) },
  });
}

function tenantTable(bound: BoundMap): { from: string; key: string } {
  const { table, key } = bound.map.tenants;
  const { schema, relname } = tableNamed(bound, table);
  return { from: `from ${qualified(schema, relname)}`, key };
}
