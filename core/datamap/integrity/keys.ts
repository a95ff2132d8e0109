/** Keys that are missing, and references that could be required. */
import { ident, tableSql } from '../../sql.ts';
import type { CatalogTable } from '../catalog.ts';
import type { Scene } from './rows.ts';
import type { IntegrityFinding, Mend } from './types.ts';

export async function looseKeys(scene: Scene, table: CatalogTable): Promise<IntegrityFinding[]> {
  if (!table.readable) return [];
  const keyless = table.key.length === 0 ? [await keylessTable(scene, table)] : [];
  return [...keyless, ...(await nullableKeys(scene, table))];
}

async function keylessTable({ probe }: Scene, table: CatalogTable): Promise<IntegrityFinding> {
  const sql = tableSql(table.name);
  const column = table.columns.find((c) => /^(id|uuid)$/.test(c.name)) ?? table.columns.find((c) => c.identity !== '');
  const mends: Mend[] = [];
  if (column) {
    const twice = await probe.rows(
      table.name,
      `whether ${column.name} could be its key`,
      `select ${ident(column.name)} from ${sql} group by 1 having count(*) > 1 or ${ident(column.name)} is null`,
    );
    if (twice?.count === 0)
      mends.push({
        what: `${column.name} tells every row apart`,
        sql: [`alter table ${sql} add primary key (${ident(column.name)})`],
      });
  }
  if (mends.length === 0) {
    const free = ['id', 'row_id', 'record_id', 'hf_id'].find((name) => table.columns.every((c) => c.name !== name))!;
    mends.push({
      what: 'give every row a number',
      sql: [`alter table ${sql} add column ${ident(free)} bigint generated always as identity primary key`],
    });
  }
  return {
    code: 'HF_TABLE_KEYLESS',
    severity: 'error',
    table: table.name,
    columns: [],
    message: `${table.name} has no primary key and no NOT NULL unique index: two of its rows cannot be told apart, so none can be restored.`,
    rows: [],
    count: null,
    mends,
  };
}

/** A reference that may be null, through which a tenant is found, or that has never been null so far. */
async function nullableKeys({ bound, probe }: Scene, table: CatalogTable): Promise<IntegrityFinding[]> {
  const tenant = bound.tables.find((t) => t.name === table.name)?.tenant;
  const path = new Set(tenant ? (tenant.kind === 'column' ? [tenant.column] : tenant.columns) : []);
  const findings: IntegrityFinding[] = [];
  for (const name of new Set(table.foreignKeys.flatMap((f) => f.columns))) {
    if (table.columns.find((c) => c.name === name)!.notNull) continue;
    const sql = tableSql(table.name);
    const found = await probe.query<{ some: boolean; gaps: boolean }>(
      table.name,
      `whether ${name} is ever null`,
      `select exists (select from ${sql}) as some, exists (select from ${sql} where ${ident(name)} is null) as gaps`,
    );
    const seen = found?.[0];
    if (!seen || (!path.has(name) && (seen.gaps || !seen.some))) continue;
    findings.push({
      code: 'HF_FOREIGN_KEY_NULLABLE',
      severity: path.has(name) ? 'warning' : 'advice',
      table: table.name,
      columns: [name],
      message: path.has(name)
        ? `${table.name} finds its tenant through ${name}, which may be null${seen.gaps ? ', and is in some rows' : ''}: such a row is in no tenant's backup.`
        : `${table.name}.${name} may be null, but never is.`,
      rows: [],
      count: null,
      mends: [{ what: 'require it', sql: [`alter table ${sql} alter column ${ident(name)} set not null`] }],
    });
  }
  return findings;
}
