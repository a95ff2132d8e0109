/** Rows that the map says belong to a tenant, but whose tenant is NULL. */
import { type Client, tableSql, transaction } from '../sql.ts';
import type { Catalog } from './catalog.ts';
import type { Finding } from './finding.ts';
import { reachPath, reachSql } from './reach.ts';
import type { BoundMap, BoundTable } from './types.ts';

/** Counting stops here: whether it is 1,000 rows or a million does not change what to do. */
const ENOUGH = 1000;
/** Milliseconds for one table. */
const PATIENCE = 10_000;

/** Looks only at tables where the schema does not already exclude it. */
export async function checkRows(client: Client, catalog: Catalog, bound: BoundMap): Promise<Finding[]> {
  const readable = new Set(catalog.tables.filter((t) => t.readable).map((t) => t.name));
  const findings: Finding[] = [];
  for (const table of bound.tables) {
    const path = table.tenant ? reachPath(bound, table, 'tenant') : [];
    if (path.length === 0 || path.every((step) => cannotBeNull(step.table))) continue;
    if (!path.every((step) => readable.has(step.table.name))) continue; // reported as HF_TABLE_DENIED
    const finding = await countOrphans(client, bound, table);
    if (finding) findings.push(finding);
  }
  return findings;
}

/** NOT NULL columns, and for a path a foreign key that makes them point somewhere. */
function cannotBeNull(table: BoundTable): boolean {
  const reach = table.tenant!;
  const columns = reach.kind === 'column' ? [reach.column] : reach.columns;
  const required = columns.every((name) => table.columns.find((c) => c.name === name)?.notNull);
  if (!required || reach.kind === 'column') return required;
  return table.foreignKeys.some(
    (f) =>
      f.parent === reach.parent && f.columns.length === columns.length && f.columns.every((c) => columns.includes(c)),
  );
}

async function countOrphans(client: Client, bound: BoundMap, table: BoundTable): Promise<Finding | undefined> {
  const { expression, joins } = reachSql(bound, table, 'tenant', 't');
  const where = `from ${tableSql(table.name)} as "t" ${joins} where ${expression} is null`;
  const count = await transaction(client, 'read only', async () => {
    await client.query(`select set_config('statement_timeout', $1, true)`, [`${PATIENCE}ms`]);
    const sql = `select count(*)::int as n from (select ${where} limit ${ENOUGH + 1}) x`;
    return (await client.query<{ n: number }>(sql)).rows[0]!.n;
  }).catch((error: { code?: string }) => {
    if (error.code === '57014') return undefined; // query_canceled: our own patience ran out
    throw error;
  });
  if (count === 0) return undefined;
  if (count === undefined) {
    return {
      code: 'HF_TENANT_NULL_UNKNOWN',
      severity: 'warning',
      table: table.name,
      message: `Whether every row of ${table.name} has a tenant was not found out within ${PATIENCE / 1000} s.`,
      mend: `Ask when there is time:\nselect count(*) ${where};`,
    };
  }
  const many = count > ENOUGH ? `More than ${ENOUGH}` : `${count}`;
  return {
    code: 'HF_TENANT_NULL',
    severity: 'warning',
    table: table.name,
    message: `${many} ${count === 1 ? 'row' : 'rows'} of ${table.name} belong${count === 1 ? 's' : ''} to no tenant: kept with the shared rows, in no tenant's backup.`,
    mend: `Give them a tenant, or remove them:\nselect "t".* ${where};`,
  };
}
