/** Random requests, with what they mean to the model. */
import type { Choice, UndoRequest, UndoScope } from '../../../core/restore/undo/types.ts';
import type { Random } from '../suite.ts';
import { type Conflict, type Step, undo } from './model.ts';
import { recordOf, SHAPES, tableOf } from './state.ts';
import type { History } from './worker.ts';

export interface Asked {
  readonly request: UndoRequest;
  /** Which steps are undone; null where a state is gone back to, and nobody's later work can stay. */
  readonly mine: ((step: Step, name: string) => boolean) | null;
  readonly undone: (step: Step, name: string) => boolean;
  readonly columns?: readonly string[];
  readonly answers: ReadonlyMap<string, Choice['take']>;
}

const own = (name: string, row: { [column: string]: string | null } | null | undefined): boolean =>
  tableOf(name) === 'tenant' ? name === 'tenant|a' : row?.tenant_id === 'a';

/** Whether a step's change of a record is the tenant's. */
export function ofTenant(step: Step, name: string): boolean {
  const diff = step.diffs.find((d) => d.name === name)!;
  return own(name, diff.after ?? diff.before);
}

export function ask(history: History, random: Random): Asked {
  const { steps, moments } = history;
  const moment = random.pick(moments.slice(-12));
  const since = (step: Step) => steps.indexOf(step) >= moment.steps;
  const to = { time: moment.time };
  const names = [
    ...new Set(steps.slice(-30).flatMap((s) => s.diffs.filter((d) => ofTenant(s, d.name)).map((d) => d.name))),
  ];
  const last = random.pick(steps.slice(-12));
  const tables = random.chance(0.2) ? ['person', 'task', 'plain'] : undefined;
  const inTables = (name: string) => !tables || tables.includes(tableOf(name));
  const limited = tables ? { tables } : {};
  const table = random.pick(Object.keys(SHAPES).filter((t) => t !== 'tenant'));

  const kinds: (() => { scope: UndoScope; undone: Asked['undone']; keeps: boolean; columns?: string[] })[] = [
    () => ({
      scope: { kind: 'session', session: last.session, ...limited },
      undone: (step, name) => step.session === last.session && inTables(name),
      keeps: true,
    }),
    () => ({
      scope: { kind: 'user', user: last.user, since: to, ...limited },
      undone: (step, name) => step.user === last.user && since(step) && inTables(name),
      keeps: true,
    }),
    () => {
      const some = [...new Set([last, random.pick(steps.slice(-12))])];
      return {
        scope: { kind: 'transactions', transactions: some.map((s) => s.xid), ...limited },
        undone: (step, name) => some.includes(step) && inTables(name),
        keeps: true,
      };
    },
    () => {
      const first = random.pick(names);
      const some = [
        ...new Set([first, ...(random.chance(0.4) ? names.filter((n) => tableOf(n) === tableOf(first)) : [])]),
      ];
      const fields = SHAPES[tableOf(first)]!.columns.filter(
        (c) => !SHAPES[tableOf(first)]!.key.includes(c) && c !== 'tenant_id',
      );
      const columns = random.chance(0.4) ? [...new Set([random.pick(fields), random.pick(fields)])] : undefined;
      return {
        scope: {
          kind: 'records',
          table: tableOf(first),
          records: some.map((n) => n.slice(n.indexOf('|') + 1).split(',')),
          to,
          ...(columns ? { columns } : {}),
        },
        undone: (step, name) => since(step) && some.includes(name),
        keeps: false,
        ...(columns ? { columns } : {}),
      };
    },
    () => ({
      scope: { kind: 'table', table, to },
      undone: (step, name) => since(step) && tableOf(name) === table,
      keeps: false,
    }),
    () => ({ scope: { kind: 'tenant', to }, undone: (step) => since(step), keeps: false }),
  ];
  const { scope, undone, keeps, columns } = random.pick(kinds)();
  const mine = (step: Step, name: string) => ofTenant(step, name) && undone(step, name);
  const policy = random.pick(['refuse', 'skip', 'force'] as const);
  const found: Conflict[] = [];
  undo(
    steps,
    mine,
    (conflict) => {
      found.push(conflict);
      return null;
    },
    columns,
  );
  const choices: Choice[] = random.chance(0.5)
    ? found.filter(() => random.chance(0.7)).map((c) => choice(c, random))
    : [];
  return {
    request: {
      tenant: 'a',
      scope,
      policy,
      limit: 10_000,
      ...(choices.length > 0 ? { choices } : {}),
      ...(policy !== 'skip' && random.chance(0.5) ? { include: 'offered' as const } : {}),
    },
    mine: keeps ? mine : null,
    undone: mine,
    ...(columns ? { columns } : {}),
    answers: new Map(choices.map((c) => [JSON.stringify([c.table, c.record, c.column ?? null]), c.take])),
  };
}

function choice({ name, column }: Conflict, random: Random): Choice {
  const where = { table: tableOf(name), record: recordOf(name) };
  return column === null
    ? { ...where, take: random.pick(['base', 'current'] as const) }
    : { ...where, column, take: random.pick(['base', 'current', 'theirs'] as const) };
}

export const answerKey = ({ name, column }: Conflict): string =>
  JSON.stringify([tableOf(name), recordOf(name), column]);
