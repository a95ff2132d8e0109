/**
 * Holds the workflows' definitions against the catalogue and against the rules that a template linter does not know: nothing dangles,
 * nothing is unreachable, every task ends in time, is tried again with jitter, and fails into a record. Run by `npm run check`.
 */
import { existsSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { WORKFLOWS, type WorkflowEntry } from './catalogue.ts';
import {
  definitionFile,
  following,
  type Machine,
  readDefinition,
  type State,
  type Visit,
  visit,
} from './definition.ts';

/** The longest that Lambda lets a function run. */
const LAMBDA_SECONDS = 900;

/** What is wrong with one workflow; empty when nothing is. */
export function checkWorkflow(workflow: WorkflowEntry, definition: Machine): string[] {
  const problems = [...checkNames(workflow, definition), ...checkHandlers(workflow)];
  if (!definition.TimeoutSeconds) problems.push('the definition has no TimeoutSeconds');
  const seen = new Set<Machine>();
  const names = new Set<string>();
  for (const at of visit(definition)) {
    if (!seen.has(at.machine)) problems.push(...checkFlow(at.machine));
    seen.add(at.machine);
    // Local overrides go by the name of the state alone.
    if (names.has(at.name)) problems.push(`two states are called ${at.name}`);
    names.add(at.name);
    if (at.state.Type === 'Task') problems.push(...checkTask(workflow, at).map((problem) => `${at.name}: ${problem}`));
    if (at.state.Type === 'Map') problems.push(...checkCatch(at).map((problem) => `${at.name}: ${problem}`));
    if (at.state.Type === 'Choice' && !at.state.Default) problems.push(`${at.name}: no Default`);
  }
  return problems;
}

/** Every name that follows exists; every state is reached; every state ends or goes on. */
function checkFlow(machine: Machine): string[] {
  const problems: string[] = [];
  if (!machine.States[machine.StartAt]) problems.push(`StartAt names ${machine.StartAt}, which does not exist`);
  for (const [name, state] of Object.entries(machine.States)) {
    for (const next of following(state)) {
      if (!machine.States[next]) problems.push(`${name}: goes on with ${next}, which does not exist`);
    }
    const last = state.End === true || state.Type === 'Succeed' || state.Type === 'Fail';
    if (!last && following(state).length === 0) problems.push(`${name}: neither ends nor goes on`);
  }
  const reached = new Set<string>();
  const queue = [machine.StartAt];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const state = machine.States[name];
    if (!state || reached.has(name)) continue;
    reached.add(name);
    queue.push(...following(state));
  }
  const lost = Object.keys(machine.States).filter((name) => !reached.has(name));
  return [...problems, ...lost.map((name) => `${name}: is never reached`)];
}

function checkTask(workflow: WorkflowEntry, at: Visit): string[] {
  const { state } = at;
  const problems: string[] = [];
  const name = /^\$\{(\w+)\}$/.exec(state.Resource ?? '')?.[1];
  const entry = name === undefined ? undefined : workflow.handlers[name];
  const limit = entry ? entry.seconds : LAMBDA_SECONDS;
  if (!state.TimeoutSeconds) problems.push('no TimeoutSeconds');
  else if (state.TimeoutSeconds > limit)
    problems.push(`waits ${state.TimeoutSeconds} s for at most ${limit} s of work`);
  if (!state.Retry?.length) problems.push('no Retry');
  for (const retrier of state.Retry ?? []) {
    if (retrier.JitterStrategy !== 'FULL') problems.push('a Retry without JitterStrategy FULL');
  }
  return [...problems, ...(at.around ? [] : checkCatch(at))];
}

/** Whatever is thrown must lead to a record, but for the record itself; a message that cannot be sent changes nothing. */
function checkCatch({ state, machine }: Visit): string[] {
  const all = state.Catch?.at(-1);
  if (!all?.ErrorEquals.includes('States.ALL')) return ['no Catch of States.ALL'];
  if (!all.ResultPath) return ['a Catch without ResultPath forgets what it was about'];
  const on = state.Resource === MESSAGE || recording(state);
  if (on) return all.Next === state.Next ? [] : [`its Catch leads to ${all.Next}, not on to ${state.Next}`];
  return recording(machine.States[all.Next]) ? [] : [`its Catch leads to ${all.Next}, which keeps no record`];
}

const MESSAGE = 'arn:aws:states:::sns:publish';
/** As a definition names a handler. */
const RECORD = ['$', '{record}'].join('');
const recording = (state: State | undefined): boolean => state?.Resource === RECORD;

function checkNames(workflow: WorkflowEntry, definition: Machine): string[] {
  const text = JSON.stringify(definition);
  const named = new Set([...text.matchAll(/\$\{(\w+)\}/g)].map((match) => match[1]!));
  const given = [...Object.keys(workflow.handlers), ...workflow.values];
  return [
    ...[...named].filter((name) => !given.includes(name)).map((name) => `\${${name}} is not in the catalogue`),
    ...given.filter((name) => !named.has(name)).map((name) => `the catalogue's ${name} is not in the definition`),
  ];
}

function checkHandlers(workflow: WorkflowEntry): string[] {
  const root = new URL('../', import.meta.url);
  return Object.values(workflow.handlers).flatMap(({ entry, seconds }) => [
    ...(existsSync(new URL(entry, root)) ? [] : [`there is no ${entry}`]),
    ...(seconds <= LAMBDA_SECONDS ? [] : [`${entry} has ${seconds} s; Lambda allows ${LAMBDA_SECONDS}`]),
  ]);
}

/** All workflows; also that every definition on disk is in the catalogue. */
export function checkAll(): string[] {
  const folders = readdirSync(new URL('./', import.meta.url), { withFileTypes: true }).filter((f) => f.isDirectory());
  const known = new Set(WORKFLOWS.map(({ name }) => name));
  const strangers = folders.filter(({ name }) => existsSync(definitionFile(name)) && !known.has(name));
  return [
    ...strangers.map(({ name }) => `${name}: is not in the catalogue`),
    ...WORKFLOWS.flatMap((workflow) =>
      checkWorkflow(workflow, readDefinition(workflow.name)).map((problem) => `${workflow.name}: ${problem}`),
    ),
  ];
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  const problems = checkAll();
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  if (problems.length === 0) process.stdout.write(`${WORKFLOWS.length} workflows: definitions are sound.\n`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
