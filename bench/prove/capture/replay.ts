/** Replays a trail record by record, and says what each change did, in a form that the oracle's log can be compared with. */
import type { Change, Text } from '../../../core/history/types.ts';
import { KEYS } from './map.ts';

export type Row = Readonly<Record<string, Text>>;
/** table -> record id -> row */
export type State = Map<string, Map<string, Row>>;

export const keyOf = (table: string, row: Row): string => KEYS[table]!.map((c) => row[c]).join('|');

/** Column order must not matter. */
export const rowText = (row: Row): string =>
  JSON.stringify(
    Object.keys(row)
      .sort()
      .map((c) => [c, row[c]]),
  );

export interface Replayed {
  /** xid -> what it did, with how often */
  readonly effects: Map<string, Map<string, number>>;
  readonly problems: string[];
  /** The tenant that the trail has for each row that is left. */
  readonly tenants: Map<string, string | null>;
}

/**
 * Applies `changes` (in record order) to `state`. Every change must fit what stands: an INSERT where nothing is, an UPDATE or a
 * DELETE with exactly the old values. That is what makes the order of changes, not only their number, right.
 */
export async function replay(
  changes: AsyncIterable<Change>,
  names: ReadonlyMap<number, string>,
  state: State,
): Promise<Replayed> {
  const effects: Replayed['effects'] = new Map();
  const problems: string[] = [];
  const tenants: Replayed['tenants'] = new Map();
  const note = (xid: bigint, effect: string) => {
    const counts = effects.get(String(xid)) ?? new Map<string, number>();
    counts.set(effect, (counts.get(effect) ?? 0) + 1);
    effects.set(String(xid), counts);
  };
  for await (const change of changes) {
    if (change.action === 'T') continue;
    const table = names.get(change.table)!;
    const rows = state.get(table)!;
    const wrong = (what: string) =>
      problems.push(
        `${table} ${change.record}: ${change.action} ${what} (xid ${change.xid}, seq ${change.seq}, before ${change.before})`,
      );
    const key = KEYS[table]!.length === 1 ? change.record! : (JSON.parse(change.record!) as string[]).join('|');
    const stands = rows.get(key);
    const values = change.changes as Record<string, never>;
    const implicit = change.metadata?.moved === true && isImplicit(change);
    if (change.action === 'I') {
      if (stands) wrong('where a row stands');
      rows.set(key, values);
      if (!implicit) note(change.xid, `${table} I ${rowText(values)}`);
      tenants.set(`${table} ${key}`, change.organization);
    } else if (change.action === 'D') {
      if (!stands) wrong('where no row stands');
      else if (rowText(stands) !== rowText(values)) wrong(`of ${rowText(values)} where ${rowText(stands)} stands`);
      rows.delete(key);
      if (!implicit) note(change.xid, `${table} D ${rowText(values)}`);
      tenants.delete(`${table} ${key}`);
    } else {
      if (!stands) {
        wrong('where no row stands');
        continue;
      }
      const after: Record<string, Text> = { ...stands };
      for (const [column, [old, now]] of Object.entries(values as Record<string, [Text, Text]>)) {
        if (stands[column] !== old) wrong(`of ${column} from ${old} where it is ${stands[column]}`);
        after[column] = now;
      }
      rows.set(key, after);
      if (Object.keys(values).length > 0) note(change.xid, `${table} U ${rowText(stands)} ${rowText(after)}`);
      if (tenants.has(`${table} ${key}`) && tenants.get(`${table} ${key}`) !== change.organization)
        wrong(`in tenant ${change.organization} where the row is of ${tenants.get(`${table} ${key}`)}`);
      tenants.set(`${table} ${key}`, change.organization);
    }
  }
  return { effects, problems, tenants };
}

/** A move that only follows a parent's: the row itself is the same on both ends, and so is its record. */
function isImplicit(change: Change): boolean {
  return (change.metadata as { follows?: boolean }).follows === true;
}
