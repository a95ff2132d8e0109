/** State machine definitions as data: reading them, and walking through their states. */
import { readFileSync } from 'node:fs';

export interface Retrier {
  readonly ErrorEquals: readonly string[];
  readonly MaxAttempts?: number;
  readonly JitterStrategy?: string;
}

export interface Catcher {
  readonly ErrorEquals: readonly string[];
  readonly Next: string;
  readonly ResultPath?: string;
}

/** A state of the Amazon States Language, as far as these workflows use it. */
export interface State {
  readonly Type: 'Task' | 'Map' | 'Pass' | 'Wait' | 'Choice' | 'Succeed' | 'Fail' | 'Parallel';
  readonly Resource?: string;
  readonly Next?: string;
  readonly End?: true;
  readonly Default?: string;
  readonly Choices?: readonly { readonly Next: string }[];
  readonly Retry?: readonly Retrier[];
  readonly Catch?: readonly Catcher[];
  readonly TimeoutSeconds?: number;
  readonly ItemProcessor?: Machine;
  readonly Branches?: readonly Machine[];
}

/** A whole definition, or the part of one that a Map runs for each item. */
export interface Machine {
  readonly StartAt: string;
  readonly States: Readonly<Record<string, State>>;
  readonly TimeoutSeconds?: number;
}

/** Where the definition of a workflow lies. */
export const definitionFile = (workflow: string): URL => new URL(`${workflow}/${workflow}.asl.json`, import.meta.url);

export const readDefinition = (workflow: string): Machine =>
  JSON.parse(readFileSync(definitionFile(workflow), 'utf8')) as Machine;

export interface Visit {
  readonly name: string;
  readonly state: State;
  /** The machine that the state belongs to. */
  readonly machine: Machine;
  /** The Map or Parallel state around that machine. */
  readonly around?: State;
}

/** Every state, those inside of Maps and Parallels included. */
export function* visit(machine: Machine, around?: State): Generator<Visit> {
  for (const [name, state] of Object.entries(machine.States)) {
    yield { name, state, machine, ...(around ? { around } : {}) };
    for (const inner of innerMachines(state)) yield* visit(inner, state);
  }
}

const innerMachines = (state: State): readonly Machine[] => [
  ...(state.ItemProcessor ? [state.ItemProcessor] : []),
  ...(state.Branches ?? []),
];

/** Every state that may follow. */
export function following(state: State): string[] {
  const one = [state.Next, state.Default].filter((name) => name !== undefined);
  return [...one, ...(state.Choices ?? []).map((c) => c.Next), ...(state.Catch ?? []).map((c) => c.Next)];
}
