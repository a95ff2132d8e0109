/**
 * What an undo should come to, worked out from states alone: no trail, no SQL, and no code of the real one. States are small and
 * everything is done the slow, obvious way.
 */
import type { Diff, Row, State } from './state.ts';
import { nameOf, tableOf } from './state.ts';

/** One committed transaction of the history. */
export interface Step {
  readonly xid: string;
  readonly user: string;
  readonly session: string;
  readonly diffs: readonly Diff[];
}

export interface Conflict {
  readonly name: string;
  /** null: the row as a whole. */
  readonly column: string | null;
}

export type Answer = 'base' | 'theirs' | 'current' | null;

/** Rows as they should be; null: gone. */
export type Wanted = Map<string, Row | null>;

export interface Undone {
  readonly wanted: Wanted;
  readonly conflicts: readonly Conflict[];
}

interface Event {
  readonly mine: boolean;
  readonly before: Row | null;
  readonly after: Row | null;
}

/** Undoes the steps that `mine` names; `columns`: only these fields. */
export function undo(
  steps: readonly Step[],
  mine: (step: Step, name: string) => boolean,
  answer: (conflict: Conflict) => Answer,
  columns?: readonly string[],
): Undone {
  const wanted: Wanted = new Map();
  const conflicts: Conflict[] = [];
  const ask = (name: string, column: string | null): Answer => {
    conflicts.push({ name, column });
    return answer({ name, column });
  };
  const events = new Map<string, Event[]>();
  for (const step of steps) {
    for (const { name, before, after } of step.diffs) {
      const isMine = mine(step, name);
      if (isMine || events.has(name)) events.set(name, [...(events.get(name) ?? []), { mine: isMine, before, after }]);
    }
  }
  for (const [name, list] of events) {
    const row = columns ? fields(name, list, columns, ask) : whole(name, list, ask);
    if (row !== undefined) wanted.set(name, row);
  }
  return { wanted, conflicts };
}

type Ask = (name: string, column: string | null) => Answer;

/** undefined: the record stays as it is. */
function whole(name: string, events: readonly Event[], ask: Ask): Row | null | undefined {
  const now = events.at(-1)!.after;
  const births = events.filter((e) => (e.before === null) !== (e.after === null));
  const lastMine = births.findLastIndex((e) => e.mine);
  if (lastMine >= 0) {
    let first = lastMine;
    while (first > 0 && births[first - 1]!.mine) first -= 1;
    const was = births[first]!.before !== null;
    const left = births[lastMine]!.after !== null;
    const overtaken = lastMine < births.length - 1;
    if (was !== left && !overtaken) {
      if (was) return combine(events, lastKnown(events), name, ask);
      const since = events.slice(events.indexOf(births[lastMine]!));
      if (since.some((e) => !e.mine) && ask(name, null) !== 'base') return undefined;
      return null;
    }
    if (was !== left) {
      if (!was) return undefined;
      if (ask(name, null) !== 'base') return undefined;
      const row: Record<string, string | null> = { ...births[lastMine]!.before! };
      for (const column of Object.keys(row)) {
        const last = lastWrites(events, column);
        if (last && last.base !== undefined) row[column] = last.base;
      }
      return row;
    }
  }
  if (now !== null) return combine(events, now, name, ask);
  const writes = Object.keys(lastKnown(events)).filter((column) => {
    const last = lastWrites(events, column);
    return last && last.base !== undefined && last.base !== last.theirs;
  });
  if (writes.length === 0 || births.at(-1)!.mine) return undefined;
  if (ask(name, null) !== 'base') return undefined;
  return {
    ...lastKnown(events),
    ...Object.fromEntries(writes.map((column) => [column, lastWrites(events, column)!.base!])),
  };
}

/** Fields to a moment: every change to them is undone, and the row's own coming and going is not. */
function fields(name: string, events: readonly Event[], columns: readonly string[], ask: Ask): Row | null | undefined {
  const now = events.at(-1)!.after;
  const then = events[0]!.before;
  if (then === null) return undefined; // refused elsewhere: there is nothing to go back to
  const row = { ...lastKnown(events) };
  const back = columns.filter((column) => then[column] !== row[column]);
  if (back.length === 0) return undefined;
  if (now === null && ask(name, null) !== 'base') return undefined;
  for (const column of back) row[column] = then[column]!;
  return row;
}

const lastKnown = (events: readonly Event[]): Row => events.at(-1)!.after ?? events.at(-1)!.before!;

/** My last uninterrupted writes to a column: the value before them, and after them. */
function lastWrites(
  events: readonly Event[],
  column: string,
): { base: string | null | undefined; theirs: string | null; later: boolean } | undefined {
  let value: string | null | undefined = events[0]!.before?.[column];
  const writes: { mine: boolean; from: string | null | undefined; to: string | null }[] = [];
  for (const event of events) {
    const next = event.after?.[column];
    if (event.after === null || next === value) continue;
    writes.push({ mine: event.mine, from: value, to: next! });
    value = next;
  }
  const last = writes.findLastIndex((w) => w.mine);
  if (last < 0) return undefined;
  let first = last;
  while (first > 0 && writes[first - 1]!.mine) first -= 1;
  return { base: writes[first]!.from, theirs: writes[last]!.to, later: last < writes.length - 1 };
}

function combine(events: readonly Event[], now: Row, name: string, ask: Ask): Row {
  const row: Record<string, string | null> = { ...now };
  for (const column of Object.keys(now)) {
    const last = lastWrites(events, column);
    if (!last || last.base === undefined || last.base === last.theirs || now[column] === last.base) continue;
    if (now[column] === last.theirs) row[column] = last.base;
    else {
      const take = ask(name, column);
      if (take === 'base') row[column] = last.base;
      if (take === 'theirs') row[column] = last.theirs;
    }
  }
  return row;
}

export function applied(state: State, wanted: Wanted): State {
  const next = new Map(state);
  for (const [name, row] of wanted) {
    if (row === null) next.delete(name);
    else next.set(name, row);
  }
  return next;
}

/** `empties`: ON DELETE SET NULL, so that a row which points lives on its own and does not go with its parent. */
const KEYS: readonly { child: string; column: string; parent: string; empties?: true }[] = [
  { child: 'team', column: 'tenant_id', parent: 'tenant' },
  { child: 'team', column: 'lead_id', parent: 'person' },
  { child: 'person', column: 'tenant_id', parent: 'tenant' },
  { child: 'person', column: 'team_id', parent: 'team' },
  { child: 'person', column: 'boss_id', parent: 'person', empties: true },
  { child: 'task', column: 'tenant_id', parent: 'tenant' },
  { child: 'task', column: 'person_id', parent: 'person' },
  { child: 'room', column: 'tenant_id', parent: 'tenant' },
];

export interface Obstacle {
  readonly kind: 'missing' | 'referenced' | 'taken';
  /** The record of the undo that cannot be as it should. */
  readonly name: string;
  readonly other: string;
  /** Nothing can be taken along to clear it. */
  readonly alone?: true;
}

/** What stands in the way in a state that is wanted: of records that the undo itself writes. */
export function obstacles(state: State, wanted: Wanted): Obstacle[] {
  const next = applied(state, wanted);
  const found: Obstacle[] = [];
  const touched = (name: string) =>
    wanted.has(name) && JSON.stringify(state.get(name) ?? null) !== JSON.stringify(wanted.get(name));
  for (const [name, row] of next) {
    for (const key of KEYS) {
      const value = row[key.column];
      if (tableOf(name) !== key.child || value == null) continue;
      const parent = `${key.parent}|${value}`;
      if (next.has(parent)) continue;
      const changed = touched(name) && state.get(name)?.[key.column] !== value;
      if (changed) found.push({ kind: 'missing', name, other: parent });
      if (wanted.get(parent) === null && state.has(parent) && !changed)
        found.push({ kind: 'referenced', name: parent, other: name, ...(key.empties ? { alone: true } : {}) });
    }
    if (tableOf(name) === 'person' && touched(name) && state.get(name)?.email !== row.email) {
      for (const [other, theirs] of next) {
        if (other !== name && tableOf(other) === 'person' && theirs.email === row.email) {
          const also = touched(other) && state.get(other)?.email !== theirs.email;
          if (!also) found.push({ kind: 'taken', name, other });
        }
      }
    }
  }
  return found;
}

/** Whether a state keeps every constraint of the schema. */
export function lawful(state: State): string | null {
  const emails = new Set<string>();
  const rooms: [number, number][] = [];
  for (const [name, row] of state) {
    for (const key of KEYS) {
      const value = row[key.column];
      if (tableOf(name) === key.child && value != null && !state.has(`${key.parent}|${value}`))
        return `${name}: no ${key.parent} ${value}`;
    }
    if (nameOf(tableOf(name), row) !== name) return `${name}: is not itself`;
    if (tableOf(name) === 'person') {
      if (emails.has(row.email!)) return `${name}: email`;
      emails.add(row.email!);
      if (row.low != null && row.high != null && Number(row.low) > Number(row.high)) return `${name}: low > high`;
      if (row.age != null && Number(row.age) <= 0) return `${name}: age`;
    }
    if (tableOf(name) === 'room' && row.during !== 'empty') {
      const [low, high] = row.during!.slice(1, -1).split(',').map(Number) as [number, number];
      if (rooms.some(([a, b]) => low < b && a < high)) return `${name}: during`;
      rooms.push([low, high]);
    }
  }
  return null;
}
