/** What stands in the database, read by plain queries, and what one transaction did to it, told by comparing two readings. */
import type pg from 'pg';

export type Row = Readonly<Record<string, string | null>>;
/** `table|key` -> row. */
export type State = ReadonlyMap<string, Row>;

/** Key columns of each table; generated columns are not read. */
export const SHAPES: Readonly<Record<string, { key: readonly string[]; columns: readonly string[] }>> = {
  tenant: { key: ['id'], columns: ['id', 'name', 'plan'] },
  team: { key: ['id'], columns: ['id', 'tenant_id', 'name', 'lead_id'] },
  person: {
    key: ['id'],
    columns: ['id', 'tenant_id', 'team_id', 'email', 'slug', 'age', 'low', 'high', 'note', 'boss_id', 'settings'],
  },
  task: { key: ['id'], columns: ['id', 'tenant_id', 'person_id', 'title', 'done'] },
  room: { key: ['tenant_id', 'building', 'number'], columns: ['tenant_id', 'building', 'number', 'during'] },
  plain: { key: ['id'], columns: ['id', 'tenant_id', 'value'] },
};

export const nameOf = (table: string, row: Row): string =>
  `${table}|${SHAPES[table]!.key.map((column) => row[column]).join(',')}`;

export async function readState(client: pg.Client): Promise<State> {
  const selects = Object.entries(SHAPES).map(
    ([table, { columns }]) =>
      `select '${table}' as name, array[${columns.map((c) => `${c}${c === 'done' ? '::int' : ''}::text`).join(', ')}] as v from public.${table}`,
  );
  const { rows } = await client.query(selects.join(' union all '));
  const state = new Map<string, Row>();
  for (const { name, v } of rows) {
    const values = SHAPES[name as string]!.columns.map((c, i) => [c, v[i]] as const);
    const row = Object.fromEntries(values.map(([c, x]) => [c, c === 'done' ? (x === '1' ? 't' : 'f') : x]));
    state.set(nameOf(name, row), row);
  }
  return state;
}

export interface Diff {
  readonly name: string;
  readonly before: Row | null;
  readonly after: Row | null;
}

export function compare(before: State, after: State): Diff[] {
  const diffs: Diff[] = [];
  for (const name of new Set([...before.keys(), ...after.keys()])) {
    const [a, b] = [before.get(name) ?? null, after.get(name) ?? null];
    if (text(a) !== text(b)) diffs.push({ name, before: a, after: b });
  }
  return diffs.sort((x, y) => (x.name < y.name ? -1 : 1));
}

const text = (row: Row | null): string =>
  JSON.stringify(row && Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)));

export const tableOf = (name: string): string => name.slice(0, name.indexOf('|'));

/** As plans name a record. */
export function recordOf(name: string): string {
  const parts = name.slice(name.indexOf('|') + 1).split(',');
  return parts.length === 1 ? parts[0]! : `[${parts.map((p) => JSON.stringify(p)).join(', ')}]`;
}
