/** What the sample held, read by plain SELECTs: table -> key -> row as text. It shares no code with time travel. */
import type pg from 'pg';
import { SHARED, TENANT } from '../exactness/oracle.ts';

export type Rows = Map<string, string>;
export type Held = Map<string, Rows>;

/** Tables with their primary keys, in the words of information_schema. */
export async function keysOf(client: pg.Client): Promise<Map<string, string[]>> {
  const { rows } = await client.query(
    `select c.table_name::text as name, array_agg(k.column_name::text order by k.ordinal_position) as key
       from information_schema.table_constraints c join information_schema.key_column_usage k using (constraint_schema, constraint_name)
      where c.table_schema = 'public' and c.constraint_type = 'PRIMARY KEY' and c.table_name !~ '^activity_events_' group by 1 order by 1`,
  );
  return new Map(rows.map((r) => [r.name as string, r.key as string[]]));
}

/** Rows of one source by key, both as text. */
export async function readRows(
  client: pg.Client,
  source: string,
  key: readonly string[],
  values: readonly unknown[] = [],
): Promise<Rows> {
  const { rows } = await client.query(
    `select array[${key.map((name) => `x.${name}::text`).join(', ')}]::text as key, x::text as line from ${source}`,
    [...values],
  );
  const found: Rows = new Map(rows.map((r) => [r.key as string, r.line as string]));
  if (found.size !== rows.length) throw new Error(`${source}: ${rows.length} rows with ${found.size} keys`);
  return found;
}

/** Every row of a tenant, or of all (`null`). */
export async function readHeld(
  client: pg.Client,
  keys: ReadonlyMap<string, string[]>,
  tenant: string | null,
): Promise<Held> {
  const held: Held = new Map();
  for (const [table, key] of keys) {
    if (tenant !== null && SHARED.includes(table)) continue;
    const where = tenant === null ? '' : ` where ${TENANT[table] ?? 'x.organization_id'} = $1`;
    held.set(table, await readRows(client, `public.${table} x${where}`, key, tenant === null ? [] : [tenant]));
  }
  return held;
}

/** `update key`, … for what differs, sorted. */
export function differences(before: Rows, after: Rows): string[] {
  const found: string[] = [];
  for (const [key, line] of before) {
    if (!after.has(key)) found.push(`delete ${key} ${line}`);
    else if (after.get(key) !== line) found.push(`update ${key} ${line} ${after.get(key)}`);
  }
  for (const [key, line] of after) if (!before.has(key)) found.push(`insert ${key} ${line}`);
  return found.sort();
}

/** What is wrong, in a line; undefined when both are the same. */
export function mismatch(expected: readonly string[], got: readonly string[]): string | undefined {
  const left = new Set(got);
  const right = new Set(expected);
  const missing = expected.filter((line) => !left.has(line));
  const extra = got.filter((line) => !right.has(line));
  if (missing.length === 0 && extra.length === 0 && expected.length === got.length) return undefined;
  const short = (lines: readonly string[]) => `${lines.length} [${lines.slice(0, 2).join(' | ').slice(0, 400)}]`;
  return `${expected.length} expected, ${got.length} got; missing ${short(missing)}; extra ${short(extra)}`;
}

export const linesOf = (rows: Rows): string[] => [...rows].map(([key, line]) => `${key} ${line}`);
