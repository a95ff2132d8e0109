/**
 * What the sample really held, read by plain SELECTs in one REPEATABLE READ transaction. It shares no code with the restore
 * engine: tables, columns and tenants are found its own way.
 */
import type pg from 'pg';

/** Table -> rows as text, sorted. */
export type State = Map<string, string[]>;

/** The tenant of a row, by hand: nothing here reads the data map. */
export const TENANT: Readonly<Record<string, string>> = {
  organizations: 'x.id',
  sessions: '(select organization_id from public.users where id = x.user_id)',
  voice_notes: '(select organization_id from public.journal_entries where id = x.entry_id)',
  transcription_segments: `(select e.organization_id from public.voice_notes v join public.journal_entries e on e.id = v.entry_id
                              where v.id = x.voice_note_id)`,
  entry_tags: '(select organization_id from public.journal_entries where id = x.entry_id)',
  comments: '(select organization_id from public.journal_entries where id = x.entry_id)',
  writing_days: '(select organization_id from public.users where id = x.user_id)',
};
export const SHARED = ['countries', 'plans'];

/** Column lists, generated columns left out, in the order of the table. */
async function columnsOf(client: pg.Client): Promise<Map<string, string>> {
  const { rows } = await client.query(
    `select c.table_name::text as name, string_agg(quote_ident(c.column_name), ', ' order by c.ordinal_position) as columns
       from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
      where c.table_schema = 'public' and t.table_type = 'BASE TABLE' and c.is_generated = 'NEVER'
        and c.table_name !~ '^activity_events_' group by 1 order by 1`,
  );
  return new Map(rows.map((r) => [r.name as string, r.columns as string]));
}

/** Every row of one tenant, or of the whole database (`null`). */
export async function readState(client: pg.Client, tenant: string | null): Promise<State> {
  const state: State = new Map();
  for (const [table, columns] of await columnsOf(client)) {
    if (tenant !== null && SHARED.includes(table)) continue;
    const owner = TENANT[table] ?? 'x.organization_id';
    const where = tenant === null ? '' : ` where ${owner} = '${tenant}'`;
    const { rows } = await client.query(
      `select r::text collate "C" as line from (select ${columns} from public.${table} x${where}) r order by 1`,
    );
    state.set(
      table,
      rows.map((r) => r.line as string),
    );
  }
  return state;
}

/** What differs between two states, in a few lines; empty when they are the same. */
export function compareStates(expected: State, got: State): string[] {
  const lines: string[] = [];
  for (const table of new Set([...expected.keys(), ...got.keys()])) {
    const a = expected.get(table) ?? [];
    const b = got.get(table) ?? [];
    if (a.length === b.length && a.every((line, i) => line === b[i])) continue;
    const left = new Set(b);
    const right = new Set(a);
    const missing = a.filter((line) => !left.has(line));
    const extra = b.filter((line) => !right.has(line));
    lines.push(
      `${table}: ${a.length} rows expected, ${b.length} got; missing ${short(missing)}; extra ${short(extra)}`,
    );
  }
  return lines;
}

const short = (rows: readonly string[]): string => `${rows.length} [${rows.slice(0, 2).join(' ').slice(0, 300)}]`;
