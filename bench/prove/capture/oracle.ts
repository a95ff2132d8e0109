/** What really happened, as plain triggers logged it. */
import type pg from 'pg';
import type { Text } from '../../../core/history/types.ts';
import { KEYS, TENANT_OF } from './map.ts';
import { keyOf, type Row, rowText, type State } from './replay.ts';

const texts = (row: Record<string, unknown>): Row =>
  Object.fromEntries(Object.entries(row).map(([c, v]) => [c, v === null ? null : (String(v) as Text)]));

export async function readState(client: pg.Client): Promise<State> {
  const state: State = new Map();
  for (const table of Object.keys(KEYS)) {
    const { rows } = await client.query(`select to_jsonb(r) as row from app.${table} r`);
    state.set(table, new Map(rows.map(({ row }) => [keyOf(table, texts(row)), texts(row)])));
  }
  return state;
}

export async function readTenants(client: pg.Client): Promise<Map<string, string | null>> {
  const tenants = new Map<string, string | null>();
  for (const [table, tenant] of Object.entries(TENANT_OF)) {
    const { rows } = await client.query(`select to_jsonb(r) as row, (${tenant})::text as tenant from app.${table} r`);
    for (const { row, tenant: id } of rows) tenants.set(`${table} ${keyOf(table, texts(row))}`, id);
  }
  return tenants;
}

/** Effects per transaction, spelled as `replay` spells them; person `owner` columns are part of what makes a row move. */
export async function readEffects(client: pg.Client): Promise<Map<string, Map<string, number>>> {
  const effects = new Map<string, Map<string, number>>();
  const { rows } = await client.query('select xid::text, tbl, was, is_now from oracle.log');
  for (const { xid, tbl, was, is_now } of rows) {
    const old = was && texts(was);
    const now = is_now && texts(is_now);
    if (old && now && rowText(old) === rowText(now)) continue;
    const counts = effects.get(xid) ?? new Map<string, number>();
    const note = (effect: string) => counts.set(effect, (counts.get(effect) ?? 0) + 1);
    if (old && now && !moved(tbl, old, now)) note(`${tbl} U ${rowText(old)} ${rowText(now)}`);
    else {
      if (old) note(`${tbl} D ${rowText(old)}`);
      if (now) note(`${tbl} I ${rowText(now)}`);
    }
    effects.set(xid, counts);
  }
  return effects;
}

/** Whether an UPDATE took the row to another record, tenant or person. By a path, only the trail knows at that time. */
function moved(table: string, old: Row, now: Row): boolean | undefined {
  return keyOf(table, old) !== keyOf(table, now) || old.org !== now.org;
}

/**
 * Where a row's owner is reached by a path, an UPDATE of the path's column is a move or not depending on what stood at its end
 * then. Both spellings are brought to one.
 */
export function withoutPaths(effects: Map<string, Map<string, number>>): Map<string, Map<string, number>> {
  const result = new Map<string, Map<string, number>>();
  for (const [xid, counts] of effects) {
    const plain = new Map<string, number>();
    for (const [effect, n] of counts) {
      const parts = /^(people|items) U (.*?\]\]) (\[\[.*)$/.exec(effect);
      const spelled = parts ? [`${parts[1]} D ${parts[2]}`, `${parts[1]} I ${parts[3]}`] : [effect];
      for (const one of spelled) plain.set(one, (plain.get(one) ?? 0) + n);
    }
    result.set(xid, plain);
  }
  return result;
}
