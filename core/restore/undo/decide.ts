/** Conflicts and what is decided on them: single choices first, then the policy. Counts all, keeps some to show. */
import { ConfigError } from '../../errors.ts';
import { shownText } from '../../history/redacted.ts';
import type { Facts } from './desk.ts';
import type { FieldConflict } from './merge.ts';
import { tableOf } from './scope.ts';
import type { Choice, Conflict, StampedColumn, Take, UndoRequest } from './types.ts';

const POLICY: Readonly<Record<'refuse' | 'skip' | 'force', Take | null>> = {
  refuse: null,
  skip: 'current',
  force: 'base',
};

export class Decisions {
  readonly listed: Conflict[] = [];
  count = 0;
  undecided = 0;
  /** Columns with stamps that stay, and in how many rows. */
  readonly #stamped = new Map<string, StampedColumn>();
  readonly #choices = new Map<string, Choice>();
  readonly #used = new Set<string>();
  readonly #policy: Take | null;
  readonly #limit: number;
  readonly #names: (table: number) => string;
  readonly #isStamped: (table: number, column: string | undefined) => boolean;

  /** @throws ConfigError HF_CHOICE_INVALID, HF_TABLE_UNKNOWN */
  constructor(request: UndoRequest, facts: Facts) {
    const policy = request.policy ?? 'refuse';
    if (!Object.hasOwn(POLICY, policy))
      throw invalid(`There is no policy ${JSON.stringify(policy)}.`, 'Pass refuse, skip or force.');
    this.#policy = POLICY[policy];
    this.#limit = request.limit ?? 200;
    this.#isStamped = (id, column) => column !== undefined && facts.stamped.get(id)!.has(column);
    this.#names = (id) => facts.targets.get(id)!.bound.name;
    for (const choice of request.choices ?? []) {
      const table = tableOf(facts.bound, choice.table);
      if (!['base', 'current', ...(choice.column === undefined ? [] : ['theirs'])].includes(choice.take)) {
        throw invalid(
          `A ${choice.column === undefined ? 'row' : 'field'} cannot be chosen as ${JSON.stringify(choice.take)}.`,
          'Choose base (as it was), current (as it is), or for a field theirs (what the undone change wrote).',
        );
      }
      this.#choices.set(name(table.name, choice.record, choice.column), choice);
    }
  }

  decide(table: number, record: string, conflict: FieldConflict): Take | null {
    const key = name(this.#names(table), record, conflict.column);
    const choice = this.#choices.get(key);
    if (choice) this.#used.add(key);
    else if (this.#policy !== 'base' && this.#isStamped(table, conflict.column))
      return this.#leaveStamp(table, conflict.column!);
    const take = choice?.take ?? this.#policy;
    this.add({ table: this.#names(table), record, ...shown(conflict), take });
    return take;
  }

  #leaveStamp(id: number, column: string): Take {
    const table = this.#names(id);
    const key = JSON.stringify([table, column]);
    const rows = (this.#stamped.get(key)?.rows ?? 0) + 1;
    this.#stamped.set(key, { table, column, rows });
    return 'current';
  }

  get stamped(): StampedColumn[] {
    return [...this.#stamped.values()];
  }

  add(conflict: Conflict): void {
    this.count += 1;
    if (conflict.take === null) this.undecided += 1;
    if (this.listed.length < this.#limit) this.listed.push(conflict);
  }

  /** A choice on something that is no conflict is a slip, and what was meant would not be done. */
  checkUsed(): void {
    for (const [key, choice] of this.#choices) {
      if (this.#used.has(key)) continue;
      throw invalid(
        `Nothing is in conflict at ${choice.table} ${choice.record}${choice.column === undefined ? ', as a row' : `, ${choice.column}`}.`,
        'Look at the conflicts of a preview, and name table, record and column as it does.',
        { choice },
      );
    }
  }
}

function shown(conflict: FieldConflict): FieldConflict {
  const { base, theirs, current } = conflict;
  if (base === undefined || theirs === undefined || current === undefined) return conflict;
  return { ...conflict, base: shownText(base), theirs: shownText(theirs), current: shownText(current) };
}

const name = (table: string, record: string, column: string | undefined): string =>
  JSON.stringify([table, record, column ?? null]);

const invalid = (message: string, action: string, details: Record<string, unknown> = {}): ConfigError =>
  new ConfigError('HF_CHOICE_INVALID', message, { action, details });
