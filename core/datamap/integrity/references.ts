/** Which columns point at which rows: as declared, and as names, types and values suggest. */
import { ident, tableSql } from '../../sql.ts';
import type { Catalog, CatalogColumn, CatalogTable } from '../catalog.ts';
import type { TableName } from '../types.ts';
import { squash, tableWords } from '../words.ts';
import type { Probe } from './probe.ts';

export interface Reference {
  readonly child: CatalogTable;
  readonly columns: readonly string[];
  readonly parent: CatalogTable;
  readonly parentColumns: readonly string[];
  /** Name of the foreign key; undefined: there is none. */
  readonly declared?: string;
  /** False: NOT VALID or NOT ENFORCED. */
  readonly enforced: boolean;
  readonly deferrable: boolean;
}

export function declaredReferences(catalog: Catalog, unproven: ReadonlySet<string>): Reference[] {
  const byName = new Map(catalog.tables.map((t) => [t.name, t]));
  return catalog.tables.flatMap((child) =>
    child.foreignKeys.flatMap((f): Reference[] => {
      const parent = byName.get(f.parent);
      if (!parent) return [];
      const { columns, parentColumns, name, deferrable } = f;
      const enforced = f.enforced && !unproven.has(`${child.oid} ${name}`);
      return [{ child, columns, parent, parentColumns, declared: name, enforced, deferrable }];
    }),
  );
}

/** Values that must all be found in the parent before a column counts as a reference to it. */
const SAMPLE = 200;

/**
 * Columns without a foreign key that look like one: named after a table with a key of the same type, or holding uuids that are
 * all keys of one table, which is no coincidence.
 */
export async function inferredReferences(
  catalog: Catalog,
  tables: ReadonlySet<TableName>,
  probe: Probe,
): Promise<(Reference & { readonly share: number })[]> {
  const found: (Reference & { share: number })[] = [];
  for (const child of catalog.tables) {
    if (!tables.has(child.name) || !child.readable) continue;
    for (const column of child.columns) {
      if (!mayRefer(child, column)) continue;
      const named = candidatesByName(catalog, child, column);
      const candidates = named.length > 0 ? named : column.baseType === 'uuid' ? uuidTables(catalog, child) : [];
      for (const { parent, key } of candidates) {
        const share = await shareFound(probe, child, column.name, parent, key);
        // A name is a hint, so most values may decide; without one, every value must be there.
        if (share === undefined || share < (named.length > 0 ? 0.5 : 1)) continue;
        const columns = [column.name];
        found.push({ child, columns, parent, parentColumns: [key], enforced: false, deferrable: false, share });
        break;
      }
    }
  }
  return found;
}

function mayRefer(table: CatalogTable, column: CatalogColumn): boolean {
  if (column.generated !== '') return false;
  if (table.key.length === 1 && table.key[0] === column.name) return false;
  if (table.foreignKeys.some((f) => f.columns.includes(column.name))) return false;
  return KEY_TYPES.test(column.baseType);
}

const KEY_TYPES = /^(uuid|smallint|integer|bigint|text|character varying)$/;
const sameFamily = (a: string, b: string): boolean => family(a) === family(b);
function family(type: string): string {
  if (/^(smallint|integer|bigint)$/.test(type)) return 'number';
  return /^(text|character varying)$/.test(type) ? 'text' : type;
}

/** `author_id` points at authors(id); `user_email` at users(email) where that is a key. */
function candidatesByName(
  catalog: Catalog,
  child: CatalogTable,
  column: CatalogColumn,
): { parent: CatalogTable; key: string }[] {
  const name = squash(column.name);
  return catalog.tables.flatMap((parent) => {
    if (!parent.readable) return [];
    const stems = [tableWords(parent.relname).join(''), tableWords(parent.relname).at(-1)!];
    const keys = parent.uniqueKeys.filter((k) => k.length === 1).map((k) => k[0]!);
    const key = keys.find((k) => {
      const type = parent.columns.find((c) => c.name === k)!.baseType;
      return sameFamily(type, column.baseType) && stems.some((s) => name === `${s}${squash(k)}` || name === `${s}id`);
    });
    return key === undefined || (parent === child && key === column.name) ? [] : [{ parent, key }];
  });
}

const uuidTables = (catalog: Catalog, child: CatalogTable) =>
  catalog.tables.flatMap((parent) => {
    const key = parent.key.length === 1 ? parent.columns.find((c) => c.name === parent.key[0]) : undefined;
    return parent.readable && parent !== child && key?.baseType === 'uuid' ? [{ parent, key: key.name }] : [];
  });

/** Which part of some values is in the parent; undefined when there are none, or it took too long. */
async function shareFound(
  probe: Probe,
  child: CatalogTable,
  column: string,
  parent: CatalogTable,
  key: string,
): Promise<number | undefined> {
  const equals = parent.columns.find((c) => c.name === key)!.equals ?? '=';
  const rows = await probe.query<{ n: number; found: number }>(
    child.name,
    `whether ${column} points at ${parent.name}`,
    `select count(*)::int as n, (count(*) filter (where exists (select from ${tableSql(parent.name)} p where p.${ident(key)} ${equals} v.value)))::int as found
       from (select distinct value from (select ${ident(column)} as value from ${tableSql(child.name)} where ${ident(column)} is not null limit 5000) s limit ${SAMPLE}) v`,
  );
  const got = rows?.[0];
  return got && got.n > 0 ? got.found / got.n : undefined;
}
