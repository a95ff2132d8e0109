/** Which states, branches of choices and catches of the definitions were executed, told from the events of the engine. */
import type { WorkflowEvent } from '../../adapters/local/workflows.ts';
import { WORKFLOWS } from '../../functions/catalogue.ts';
import { readDefinition, visit } from '../../functions/definition.ts';

export class Coverage {
  readonly #seen = new Set<string>();
  /** The choice that was entered last, per workflow and item of a Map. */
  readonly #choice = new Map<string, string>();

  /** To be given to an engine as `observe`. One execution of a workflow at a time. */
  readonly observe = (workflow: string, event: WorkflowEvent & { readonly index?: number }): void => {
    const name = event.state?.name;
    if (name === undefined) return;
    const line = `${workflow}/${event.index ?? ''}`;
    if (event.type === 'StateEntered') {
      const from = this.#choice.get(line);
      if (from !== undefined) this.#seen.add(`${workflow}: ${from} -> ${name}`);
      this.#choice.delete(line);
      this.#seen.add(`${workflow}: ${name}`);
      if (choices(workflow).has(name)) this.#choice.set(line, name);
    }
    if (event.type === 'StateCaught') {
      const { ErrorEquals, Next } = event.catch!.catcher;
      this.#seen.add(`${workflow}: ${name} catches ${ErrorEquals} -> ${Next}`);
    }
  };

  /** What a definition has and no execution came by. */
  missing(): string[] {
    return WORKFLOWS.flatMap(({ name }) => parts(name)).filter((part) => !this.#seen.has(part));
  }
}

const choices = (workflow: string): Set<string> =>
  new Set([...visit(readDefinition(workflow))].filter(({ state }) => state.Type === 'Choice').map(({ name }) => name));

/** Every state, every way out of a choice, every catch. */
function parts(workflow: string): string[] {
  const all = [...visit(readDefinition(workflow))].flatMap(({ name, state }) => [
    `${workflow}: ${name}`,
    ...[...(state.Choices ?? []).map(({ Next }) => Next), ...(state.Default ? [state.Default] : [])].map(
      (next) => `${workflow}: ${name} -> ${next}`,
    ),
    ...(state.Catch ?? []).map(({ ErrorEquals, Next }) => `${workflow}: ${name} catches ${ErrorEquals} -> ${Next}`),
  ]);
  return [...new Set(all)];
}

/** Each state that catches, with an error for each of its catches. */
export function catches(
  workflow: string,
): { readonly state: string; readonly error: string; readonly inside?: string }[] {
  return [...visit(readDefinition(workflow))].flatMap(({ name, state }) =>
    (state.Catch ?? []).map(({ ErrorEquals }) => ({
      state: name,
      error: ErrorEquals[0] === 'States.ALL' ? 'HF_INJECTED' : ErrorEquals[0]!,
      ...(state.ItemProcessor ? { inside: state.ItemProcessor.StartAt } : {}),
    })),
  );
}
