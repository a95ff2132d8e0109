/**
 * The few notations inside holdfast.yaml strings, read and written in one place:
 *   `public.organizations(id)`                       a table and its key column
 *   `organization_id`                                a value in a column of the row
 *   `via entry_id`                                   along the foreign key on that column
 *   `via entry_id -> public.entries(id)`             the same written out, or where there is no foreign key
 *   `via tenant_id, entry_no -> public.entries(tenant_id, no)`
 * Names stand as they are; those with other characters than letters, digits, _ and $ are double-quoted as in SQL.
 */
import { ident, joinTableName, splitTableName } from '../sql.ts';
import type { Reach, TableName } from './types.ts';

const PLAIN = /^[\p{L}_][\p{L}\p{M}\p{N}_$]*$/u;
const NAME = String.raw`(?:"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{M}\p{N}_$]*)`;
const LIST = `${NAME}(?:\\s*,\\s*${NAME})*`;
const TABLE = `${NAME}(?:\\.${NAME})?`;
const KEY_PATTERN = new RegExp(`^(${TABLE})\\s*\\(\\s*(${NAME})\\s*\\)$`, 'u');
const TABLE_PATTERN = new RegExp(`^${TABLE}$`, 'u');
const VIA_PATTERN = new RegExp(`^via\\s+(${LIST})(?:\\s*->\\s*(${TABLE})\\s*\\(\\s*(${LIST})\\s*\\))?$`, 'u');
const QUOTED_PATTERN = /^"(?:[^"]|"")+"$/;

const unquote = (name: string): string => (QUOTED_PATTERN.test(name) ? name.slice(1, -1).replaceAll('""', '"') : name);
const quote = (name: string): string => (PLAIN.test(name) ? name : ident(name));
const list = (text: string): string[] => [...text.matchAll(new RegExp(NAME, 'gu'))].map((m) => unquote(m[0]));

/** The canonical form of a table name, or undefined when it is none. Without a schema, `public` is meant. */
export function parseTableName(text: string): TableName | undefined {
  if (!TABLE_PATTERN.test(text)) return undefined;
  const { schema, relname } = splitTableName(text);
  return joinTableName(schema, relname);
}

export function parseTableKey(text: string): { table: TableName; key: string } | undefined {
  const match = KEY_PATTERN.exec(text.trim());
  return match ? { table: parseTableName(match[1]!)!, key: unquote(match[2]!) } : undefined;
}

export const formatTableKey = (at: { table: TableName; key: string }): string => `${at.table}(${quote(at.key)})`;

/** A `via` without its target has an empty parent here; `bind` finds it from the foreign key. */
export function parseReach(text: string): Reach | undefined {
  const trimmed = text.trim();
  const via = VIA_PATTERN.exec(trimmed);
  if (via) {
    const parent = via[2] === undefined ? '' : parseTableName(via[2])!;
    const reach = { columns: list(via[1]!), parent, parentColumns: via[3] === undefined ? [] : list(via[3]) };
    return parent === '' || reach.columns.length === reach.parentColumns.length ? { kind: 'via', ...reach } : undefined;
  }
  if (trimmed === '' || /^via\s/.test(trimmed)) return undefined;
  return { kind: 'column', column: unquote(trimmed) };
}

export function formatReach(reach: Reach): string {
  if (reach.kind === 'column') {
    return PLAIN.test(reach.column) ? reach.column : ident(reach.column);
  }
  const from = `via ${reach.columns.map(quote).join(', ')}`;
  return reach.parent === '' ? from : `${from} -> ${reach.parent}(${reach.parentColumns.map(quote).join(', ')})`;
}
