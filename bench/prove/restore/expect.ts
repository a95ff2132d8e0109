/** What the model expects of a request: the state it leads to, or that it is refused. */
import type { UndoScope } from '../../../core/restore/undo/types.ts';
import { applied, type Conflict, lawful, obstacles, type Step, undo, type Wanted } from './model.ts';
import { type Asked, answerKey, ofTenant } from './requests.ts';
import type { State } from './state.ts';
import type { History } from './worker.ts';

export interface Expected {
  readonly state: State;
  readonly conflicts: readonly Conflict[];
  /** Why; null when it goes through. */
  readonly refused: string | null;
  /** A code with which even the preview is refused. */
  readonly throws?: string;
}

const POLICY = { refuse: null, skip: 'current', force: 'base' } as const;

export function expectation(history: History, asked: Asked): Expected {
  const { steps, state } = history;
  const { request } = asked;
  if (asked.columns && bornSince(history, asked))
    return { state, conflicts: [], refused: null, throws: 'HF_FIELD_WITHOUT_BASE' };
  if (
    request.scope.kind === 'transactions' &&
    !steps.some((s) => named(request.scope, s) && s.diffs.some((d) => ofTenant(s, d.name)))
  ) {
    return { state, conflicts: [], refused: null, throws: 'HF_TRANSACTION_UNKNOWN' };
  }
  let open = false;
  const { wanted, conflicts } = undo(
    steps,
    asked.undone,
    (conflict) => {
      const take = asked.answers.get(answerKey(conflict)) ?? POLICY[request.policy!];
      open ||= take === null;
      return take;
    },
    asked.columns,
  );
  if (open) return { state, conflicts, refused: 'a later edit' };
  if (request.policy === 'skip') leaveOut(state, wanted);
  else {
    const stuck = takeAlong(history, wanted, request.include === 'offered');
    if (stuck) return { state, conflicts, refused: stuck };
  }
  const next = applied(state, wanted);
  const broken = lawful(next);
  return { state: broken ? state : next, conflicts, refused: broken };
}

const named = (scope: UndoScope, step: Step): boolean =>
  scope.kind === 'transactions' && scope.transactions.includes(step.xid);

function leaveOut(state: State, wanted: Wanted): void {
  for (;;) {
    const found = obstacles(state, wanted);
    if (found.length === 0) return;
    for (const { name } of found) wanted.delete(name);
  }
}

/** Adds what is needed, or says what cannot be had. */
function takeAlong({ state, steps }: History, wanted: Wanted, include: boolean): string | null {
  for (let round = 0; round < 50; round += 1) {
    const found = obstacles(state, wanted);
    if (found.length === 0) return null;
    for (const { kind, name, other, alone } of found) {
      if (!include || alone || kind === 'taken') return `${name} ${kind} ${other}`;
      if (kind === 'referenced') wanted.set(other, null);
      else {
        const last = steps.flatMap((s) => s.diffs.filter((d) => d.name === other)).at(-1);
        if (!last || last.after !== null) return `${name} ${kind} ${other}`;
        wanted.set(other, last.before);
      }
    }
  }
  return 'no end';
}

/** Whether one of the rows came after the moment, so that its fields had no value then. */
function bornSince({ steps }: History, asked: Asked): boolean {
  const first = new Map<string, boolean>();
  for (const step of steps) {
    for (const diff of step.diffs) {
      if (!first.has(diff.name) && asked.undone(step, diff.name)) first.set(diff.name, diff.before === null);
    }
  }
  return [...first.values()].some((born) => born);
}
