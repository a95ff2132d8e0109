/** What the checks share: what they are given, and how rows are named, joined and got rid of. */
import { recordSql } from '../../history/record.ts';
import { ident, tableSql } from '../../sql.ts';
import type { Catalog, CatalogTable } from '../catalog.ts';
import type { BoundMap } from '../types.ts';
import type { Probe } from './probe.ts';
import type { Reference } from './references.ts';
import type { Mend } from './types.ts';

/** What each check is given. */
export interface Scene {
  readonly catalog: Catalog;
  readonly bound: BoundMap;
  readonly probe: Probe;
}

/** The record id of a row, also of a table that is not protected. */
export function rowName(bound: BoundMap, table: CatalogTable, alias: string): string {
  const known = bound.tables.find((t) => t.name === table.name);
  if (known && known.key.length > 0) return recordSql(known, alias);
  return table.key.length > 0
    ? `concat_ws(', ', ${table.key.map((k) => `${ident(alias)}.${ident(k)}`).join(', ')})`
    : `${ident(alias)}.ctid`;
}

/** `p.key = c.ref and …` with the operator of the parent's key. */
export const joinOn = ({ parent, parentColumns, columns }: Reference, p: string, c: string): string =>
  parentColumns
    .map((key, i) => {
      const equals = parent.columns.find((column) => column.name === key)?.equals ?? '=';
      return `${p}.${ident(key)} ${equals} ${c}.${ident(columns[i]!)}`;
    })
    .join(' and ');

/** Ways to get rid of rows that fit `where` over the child `c`. */
export function removals(r: Reference, where: string): Mend[] {
  const child = tableSql(r.child.name);
  const nullable = r.columns.filter((name) => !r.child.columns.find((c) => c.name === name)!.notNull);
  const clear = nullable.map((name) => `${ident(name)} = null`).join(', ');
  return [
    ...(nullable.length > 0
      ? [{ what: 'keep the rows, without what they point at', sql: [`update ${child} c set ${clear} where ${where}`] }]
      : []),
    { what: 'delete the rows', sql: [`delete from ${child} c where ${where}`] },
  ];
}
